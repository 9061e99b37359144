"""Reports: pure functions from run folders to tables, pages and exports.

    records     run folder -> the last line of each attempt        (no pandas: starts at once)
    load        run folders -> one frame, one row an attempt
    statistics  arrays -> shares, means and their intervals
    leaderboard frame -> one row a solver and model; leaderboard_table: the same, for people
    paired      differences of tasks -> chances and bounds; power: the smallest loss that so many tasks show
    compare     two runs -> a comparison; comparable: what of them may be compared; comparison: what was found;
                compare_table: the same, for people, with the verdict in a sentence
    tasks       frame -> one row an attempt
    duplicates  frame of several runs -> each attempt that counts, once
    merge       run folders -> one; alike: what they must have in common
    verify      run folder -> what to judge again, and in what it differs; recount: judges it; verify_table: for people
    table       what a table for people is, and how its cells are written
    render      tables -> terminal text, Markdown, CSV; as_json, as_latex: the other forms
    show        one attempt -> text
    history     a folder of runs -> one series an agent; changepoints: where such a series changes
    page        runs -> one HTML file, or a folder of pages
    published   what others published for these suites
    benchmark_json  run folder -> pytest-benchmark's format
    write       run folder -> files, and the summary at the end of a pytest session; summary_page: a page for CI
    whole       a file, whole or not there
    cli         the command `kernel-assay`; *_command: its commands in modules of their own

    from reports.load import load

    frame = load(["runs/monday", "runs/tuesday"])    # pandas, a row an attempt

A new report (a page, a comparison) is a new module that starts from `load` and ends in `render` or its own
form. Reports import `harness`, never the reverse; nothing here writes outside `RUN/report/` or a named output file.
"""
