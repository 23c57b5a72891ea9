"""From a cell down to the scores, pictures, weights and settings behind it; and whether all is still as recorded."""
