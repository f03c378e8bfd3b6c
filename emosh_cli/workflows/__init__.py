"""Workflows combine stages: the pipeline, its work folder, training sets, tables, galleries. A workflow uses stages and
workers. It knows no command and parses no options."""
