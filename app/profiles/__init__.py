"""How users show themselves: nickname, avatar, bio, and the public profile."""
