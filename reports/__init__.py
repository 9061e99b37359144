"""Reports: pure functions from run folders to tables, pages and exports.

    records     run folder -> the last line of each attempt        (no pandas: starts at once)
    load        run folders -> one frame, one row an attempt
    statistics  arrays -> shares, means and their intervals
    leaderboard frame -> one row a solver and model; leaderboard_table: the same, for people
    tasks       frame of one run -> one row an attempt
    table       what a table for people is, and how its cells are written
    render      tables -> terminal text, Markdown, CSV; as_json, as_latex: the other forms
    show        one attempt -> text
    history     a folder of runs -> one series an agent; changepoints: where such a series changes
    write       run folder -> files, and the summary at the end of a pytest session; summary_page: a page for CI
    benchmark_json  run folder -> pytest-benchmark's format
    cli         the command `kernel-assay`

    from reports.load import load

    frame = load(["runs/monday", "runs/tuesday"])    # pandas, a row an attempt

A new report (a page, a comparison) is a new module that starts from `load` and ends in `render` or its own
form. Reports import `harness`, never the reverse; nothing here writes outside `RUN/report/` or a named output file.
"""
