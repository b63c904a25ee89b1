"""One module a revision, `r<number>_<what>.py`; the number is the revision's id and the highest one is the head."""
