"""`madi score folder`: a folder of images and a benchmark's samples become a table, intervals and a page."""
