"""How close a result is to what it should show, with how that was measured."""
