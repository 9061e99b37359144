"""The page: one HTML file that shows runs to people, without any request to anywhere; a folder of pages where it is
large.

    board      frame -> rows of the leaderboard, with ranks
    samples    run folder -> all that is shown of one attempt
    charts     frames -> inline SVG
    axes       how an SVG chart is drawn
    build      runs -> the page's parts, and the file or folder
    page.html.j2, page.css, page.js

What a model or a candidate wrote is hostile. In HTML it is escaped by Jinja; what the script shows is JSON in which no
`<` stands, and goes into the page as text, never as markup. A policy in the page lets no other script run and nothing
be loaded.
"""
