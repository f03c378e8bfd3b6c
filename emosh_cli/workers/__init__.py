"""Processes of this machine or of a Ray cluster, and the jobs that they run. They use stages, and know no workflow."""
