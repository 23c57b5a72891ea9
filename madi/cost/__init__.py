"""What a scale will cost before it is run: jobs, hours, disk, files, calls and money, each with what it is made of."""
