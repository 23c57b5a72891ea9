# Stage 6: every table and figure, and the page that shows them.
localrules:
    tables,


# Folders, since a command line has no room for the shards of a thousand jobs; which are meant is in the slice.
MADE = each("scores", [f"{RESULTS}/scores"]) + each("edits", [f"{RESULTS}/edits"])


STAMPS = {part: stamps_of(part) for part in ("edits", "scores")}


PLANNED = any(run.wants_plans for run in CONFIG.train.runs.values())


PLOTS = [*DECLARED["figures"], "figure_validity", "figure_training"]


rule tables_build:
    input:
        config=f"{RESULTS}/tables/config.json",
        samples=expand(f"{RESULTS}/data/{{set}}/samples.json", set=ASKED),
        edits=STAMPS["edits"],
        scores=STAMPS["scores"],
        runs=expand(f"{RESULTS}/runs/{{run}}/train.csv", run=CONFIG.train.runs),
        reported=CONFIG.tables.reported,
    output:
        tables=expand(
            f"{RESULTS}/tables/table_{{table}}.{{form}}", table=DECLARED["tables"], form=["md", "tex"]
        ),
        csv=report(
            expand(f"{RESULTS}/tables/table_{{table}}.csv", table=DECLARED["tables"]),
            category="Tables",
            caption="../report/table.rst",
        ),
        document=f"{RESULTS}/tables/tables.tex",
        figures=report(
            expand(f"{RESULTS}/figures/{{figure}}.svg", figure=PLOTS),
            category="Figures",
            caption="../report/figure.rst",
        ),
        pngs=expand(f"{RESULTS}/figures/{{figure}}.png", figure=PLOTS),
        validity=f"{RESULTS}/tables/validity.csv",
        cells=f"{RESULTS}/cells.parquet",
        lineage=f"{RESULTS}/lineage.parquet",
    log:
        f"{LOGS}/tables_build.log",
    benchmark:
        f"{TIMINGS}/tables_build.tsv"
    group:
        "tables"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(4000),
        runtime=longer(120),
    params:
        samples=options("samples", f"{RESULTS}/data/{{}}/samples.json", ASKED),
        made=MADE,
        runs=lambda wildcards, input: str(Path(input.config).parents[1] / "runs"),
        tables=lambda wildcards, output: str(Path(output.tables[0]).parent),
        figures=lambda wildcards, output: str(Path(output.figures[0]).parent),
    message:
        "build the tables"
    shell:
        "madi tables build --config {input.config:q} {params.samples:q} {params.made:q} --runs {params.runs:q}"
        " --reported {input.reported:q} --out-folder {params.tables:q} --figures-folder {params.figures:q}"
        " --cells {output.cells:q} --lineage {output.lineage:q} --log {log:q}"


rule tables_pictures:
    input:
        config=f"{RESULTS}/tables/config.json",
        samples=expand(f"{RESULTS}/data/{{set}}/samples.json", set=ASKED),
        edits=STAMPS["edits"],
        scores=STAMPS["scores"],
    output:
        grids=report(
            expand(f"{RESULTS}/figures/{{grid}}.png", grid=DECLARED.get("grids", [])),
            category="Pictures",
            caption="../report/grid.rst",
        ),
    log:
        f"{LOGS}/tables_pictures.log",
    benchmark:
        f"{TIMINGS}/tables_pictures.tsv"
    group:
        "tables"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(4000),
        runtime=longer(60),
    params:
        samples=options("samples", f"{RESULTS}/data/{{}}/samples.json", ASKED),
        made=MADE,
        figures=lambda wildcards, output: str(Path(output.grids[0]).parent),
    message:
        "draw the grids of pictures"
    shell:
        "madi tables pictures --config {input.config:q} {params.samples:q} {params.made:q}"
        " --figures-folder {params.figures:q} --log {log:q}"


rule tables_page:
    input:
        config=f"{RESULTS}/tables/config.json",
        samples=expand(f"{RESULTS}/data/{{set}}/samples.json", set=ASKED),
        edits=STAMPS["edits"],
        scores=STAMPS["scores"],
        cells=f"{RESULTS}/cells.parquet",
        lineage=f"{RESULTS}/lineage.parquet",
        figures=expand(f"{RESULTS}/figures/{{figure}}.svg", figure=PLOTS),
        reported=CONFIG.tables.reported,
        questions=f"{RESULTS}/prompts/emu_edit/questions.parquet" if "emu_edit" in ASKED else [],
        plans=f"{RESULTS}/prompts/plans.parquet" if PLANNED else [],
        train=f"{RESULTS}/data/train/samples.json",
        grids=expand(f"{RESULTS}/figures/{{grid}}.png", grid=DECLARED.get("grids", [])),
        drawn=f"{RESULTS}/figures/figure_1.png" if MASKING else [],
    output:
        page=report(f"{RESULTS}/report.html", category="Report", caption="../report/page.rst"),
        made=f"{RESULTS}/provenance.json",
    log:
        f"{LOGS}/tables_page.log",
    benchmark:
        f"{TIMINGS}/tables_page.tsv"
    group:
        "tables"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(4000),
        runtime=longer(60),
    params:
        samples=options("samples", f"{RESULTS}/data/{{}}/samples.json", ASKED),
        made=MADE,
        figures=lambda wildcards, input: str(Path(input.figures[0]).parent),
        questions=lambda wildcards, input: each("questions", [input.questions] if input.questions else []),
        plans=lambda wildcards, input: each("plans", [input.plans] if input.plans else []),
        timings=TIMINGS,
    message:
        "write the report"
    shell:
        "madi tables page --config {input.config:q} --cells {input.cells:q} {params.samples:q} {params.made:q}"
        " --figures-folder {params.figures:q} --lineage {input.lineage:q} {params.questions:q} {params.plans:q} --train {input.train:q}"
        " --timings {params.timings:q} --made {output.made:q} --out {output.page:q} --log {log:q}"


rule tables:
    input:
        rules.tables_build.output,
        rules.tables_pictures.output,
        rules.tables_page.output,
