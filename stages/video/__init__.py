"""Reading and writing of video and photo files."""
