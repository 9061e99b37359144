"""The doctor: what proves a task before it counts, on the interpreter and on a GPU.

    pytest suites/rocm --doctor                 every check of every task on this device
    kernel-assay proof RUN RUN -o PROOF.md      the table of several such runs: tasks by checks

Checks are `finding.Check`; what each looks at stands in the module of its name. A task may waive what can't hold for
its operation (`Task.waivers`), by the name that the check gives it, with the reason.
"""
