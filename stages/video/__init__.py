"""Pictures in and out of video and photo files."""
