"use strict";

// Where a picture is wider than the screen, begin where the first state stands.
const begin = (picture) => {
  const dot = picture.querySelector("circle").getBoundingClientRect();
  picture.scrollLeft += dot.left - picture.getBoundingClientRect().left - picture.clientWidth / 2;
};

for (const picture of document.querySelectorAll(".picture")) {
  begin(picture);
  picture.previousElementSibling.addEventListener("change", () => begin(picture));
}
