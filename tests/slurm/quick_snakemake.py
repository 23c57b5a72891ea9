"""Snakemake that looks at its SLURM jobs every second. The plugin's own pace, ten seconds slower after each look that
found nothing, is right for a cluster and cannot be set; the environment stays as it is."""

import sys

import snakemake_executor_plugin_slurm as plugin
from snakemake.cli import main

plugin.Executor.next_seconds_between_status_checks = property(lambda self: 1.0, lambda self, seconds: None)
sys.exit(main())
