"""emosh killed and stopped at random moments: `python -m tests.kills`."""
