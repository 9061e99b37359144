"""Reports: pure functions from run folders to tables, pages and exports.

    records     run folder -> the last line of each attempt        (no pandas: starts at once)
    load        run folders -> one frame, one row an attempt
    statistics  arrays -> shares, means and their intervals
    leaderboard frame -> one row a solver and model; leaderboard_table: the same, for people
    paired      differences of tasks -> chances and bounds; power: the smallest loss that so many tasks show
    compare     two runs -> a comparison; comparable: what of them may be compared; comparison: what was found;
                compare_table: the same, for people, with the verdict in a sentence
    tasks       frame of one run -> one row an attempt
    table       what a table for people is, and how its cells are written
    render      tables -> terminal text, Markdown, CSV
    show        one attempt -> text
    write       run folder -> files, and the summary at the end of a pytest session
    cli         the command `kernel-assay`

A new report (a page, a comparison, a history) is a new module that starts from `load` and ends in `render` or its own
form. Reports import `harness`, never the reverse; nothing here writes outside `RUN/report/` or a named output file.
"""
