"""What joins stages: the pipeline, its work folder, training sets, tables, galleries. No typer, no parsing; a workflow
knows stages and workers, and no command."""
