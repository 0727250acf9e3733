"""The style of the page: its digest stands in the page's content policy."""

STYLE = """
:root{--paper:#fff;--ink:#1a2027;--soft:#56616d;--rule:#dfe4ea;--tint:#f5f7f9;--score:#0b5cad;--best:#a8480a;--limit:#b3261e}
@media (prefers-color-scheme:dark){:root{--paper:#12161b;--ink:#e7ebef;--soft:#a3aeb9;--rule:#2c343d;--tint:#1a2027;--score:#74b4ff;--best:#f2a65e;--limit:#ff8f86}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main,footer{max-width:66rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
.brand{margin:0;color:var(--score);font-weight:650;letter-spacing:.02em}
h1{margin:.1rem 0 .6rem;font-size:2rem;line-height:1.2;letter-spacing:-.015em}
h2{margin:3rem 0 .4rem;padding-top:1.1rem;border-top:2px solid var(--rule);font-size:1.45rem;letter-spacing:-.01em}
h3{margin:2.2rem 0 .3rem;font-size:1.1rem}
h4{grid-column:1/-1;margin:.6rem 0 0;font-size:1rem;font-weight:600;overflow-wrap:anywhere}
p{max-width:48rem;margin:.4rem 0}
section p,footer p{color:var(--soft);font-size:.9rem}
.lead{color:var(--soft)}
a{color:var(--score)}
nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;margin:1rem 0;padding:0;list-style:none}
section ul{max-width:48rem;padding-left:1.2rem;color:var(--soft);font-size:.9rem}
.frame{margin:.8rem 0;overflow-x:auto}
.frame:focus-visible{outline:2px solid var(--score);outline-offset:3px}
table{width:100%;border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.45rem .6rem;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top;white-space:nowrap}
th:first-child{padding-left:0;text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:9rem}
thead th{color:var(--soft);font-weight:600;border-bottom-color:var(--soft)}
tbody th{font-weight:500}
small{display:block;color:var(--soft);font-size:.8em}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:.4rem 1.5rem;margin:1.2rem 0}
figure{margin:0;max-width:34rem;break-inside:avoid}
figcaption{color:var(--soft);font-size:.85rem}
svg{display:block;width:100%;height:auto;font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.grid{stroke:var(--rule);stroke-width:1}
.frame path,path.frame{fill:none;stroke:var(--soft);stroke-width:1}
.tick,.axis,.note{fill:var(--soft)}
.note{fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.thin{stroke-width:1.25}
.line.score{stroke:var(--score);stroke-width:2.5}
.line.score.thin{stroke-width:1.25}
.line.guess{stroke:var(--soft);stroke-dasharray:2 5}
.line.best{stroke:var(--best);stroke-dasharray:9 4}
.line.limit{stroke:var(--limit);stroke-dasharray:5 4}
.band.score{fill:var(--score);opacity:.16}
.dot{stroke:var(--paper);stroke-width:1.5}
.dot.score{fill:var(--score)}
.dot.best{fill:var(--best)}
footer{margin-top:3rem;padding-bottom:2rem;border-top:1px solid var(--rule)}
code{font-size:.95em}
@media print{
:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--tint:#fff;--score:#0b5cad;--best:#a8480a;--limit:#b3261e}
body{font-size:10pt}
header,main,footer{max-width:none;padding:0}
nav{display:none}
h2{break-before:page}
section:first-child h2{break-before:auto}
h3,h4,h3+p{break-after:avoid}
p{break-inside:avoid}
.frame{overflow:visible}
table,tr{break-inside:avoid}
.plots{grid-template-columns:1fr 1fr;break-inside:avoid}
}
"""
