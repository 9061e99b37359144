"""Reports: pure functions from run folders to tables, pages and exports.

    records     run folder -> the last line of each attempt        (no pandas: starts at once)
    load        run folders -> one frame, one row an attempt
    statistics  arrays -> shares, means and their intervals
    leaderboard frame -> one row a solver and model; leaderboard_table: the same, for people
    tasks       frame -> one row an attempt
    duplicates  frame of several runs -> each attempt that counts, once
    merge       run folders -> one; alike: what they must have in common
    verify      run folder -> what to judge again, and in what it differs; recount: judges it; verify_table: for people
    table       what a table for people is, and how its cells are written
    render      tables -> terminal text, Markdown, CSV
    show        one attempt -> text
    page        runs -> one HTML file, or a folder of pages
    published   what others published for these suites
    write       run folder -> files, and the summary at the end of a pytest session
    whole       a file, whole or not there
    cli         the command `kernel-assay`; *_command: its commands in modules of their own

A new report (a page, a comparison, a history) is a new module that starts from `load` and ends in `render` or its own
form. Reports import `harness`, never the reverse; nothing here writes outside `RUN/report/` or a named output file.
"""
