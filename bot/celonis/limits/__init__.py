"""How the limits of a Celonis team are kept: an httpx transport that every request goes through, and its rules."""
