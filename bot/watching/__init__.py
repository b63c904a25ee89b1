"""What is watched, guarded and told at set times."""
