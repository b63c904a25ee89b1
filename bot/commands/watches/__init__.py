"""Setting, showing and ending what is watched, guarded and told at set times."""
