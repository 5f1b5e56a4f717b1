"""The PNG figures."""
