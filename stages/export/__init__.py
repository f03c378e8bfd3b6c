"""A motion for other programs: Blender, viewers, animation tools, and the models emosh is compared with."""
