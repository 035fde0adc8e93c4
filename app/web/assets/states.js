"use strict";

// Where a picture is wider than the screen, begin in its middle: the first state stands there.
for (const picture of document.querySelectorAll(".picture")) {
  picture.scrollLeft = (picture.scrollWidth - picture.clientWidth) / 2;
}
