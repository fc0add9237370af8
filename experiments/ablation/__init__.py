"""Ablation studies: planning and training of the runs, comparison over seeds, tables, plots and the HTML report."""
