//! Draws docs/performance.svg: what new tokens cost, durable on the disk, against how many there are; renewd, the floor, and what
//! people use today. Only where it is asked for by name, since it writes that file. RENEWD_LONG=1: to 10,000 tokens.
//! RENEWD_PYTHON names a Python that has PyJWT.

use std::path::Path;
use std::process::Command;

use plotters::prelude::*;

use support::bench::{millis, on_disk, run, table, timed};
use support::long;

use crate::floor::{Signed, bare_loop, floor};
use crate::generate::{TOKEN_IN_SHELL, command, python, works};
use crate::tokens::Tokens;

/// A token a turn, each made durable and renamed, as in a cron job.
const SHELL: &str = r#"
for i in $(seq 0 $(($2 - 1))); do
  token "$1/secret" "key$i" > "$1/out/.t$i"
  sync "$1/out/.t$i"
  mv "$1/out/.t$i" "$1/out/t$i.token"
done
sync "$1/out"
"#;
const PYTHON: &str = "import os, sys, time, uuid, jwt
folder, number = sys.argv[1], int(sys.argv[2])
secret, now = open(folder + '/secret').read(), int(time.time())
for i in range(number):
    claims = {'iss': f'key{i}', 'iat': now, 'exp': now + 3600, 'jti': str(uuid.uuid4())}
    with open(f'{folder}/out/.t{i}', 'w') as file:
        file.write(jwt.encode(claims, secret, algorithm='HS256'))
        file.flush()
        os.fsync(file.fileno())
    os.replace(f'{folder}/out/.t{i}', f'{folder}/out/t{i}.token')
at = os.open(folder + '/out', os.O_RDONLY)
os.fsync(at)";

/// Milliseconds of a run for so many tokens; the best of a few, all taking turns.
struct Line {
    label: &'static str,
    colour: RGBColor,
    /// More take too long.
    most: usize,
    cost: fn(&Tokens<'_>) -> f64,
    points: Vec<(f64, f64)>,
}

const RENEWD: &str = "renewd once";
const PYJWT: &str = "PyJWT, one process";

fn lines() -> Vec<Line> {
    let line = |label, colour, most, cost| Line { label, colour, most, cost, points: Vec::new() };
    vec![
        line("bash and openssl", RGBColor(178, 34, 34), if long() { 1_000 } else { 100 }, |tokens| {
            other(command("bash", &["-c".into(), format!("{TOKEN_IN_SHELL}{SHELL}").into(), "bash".into()]), tokens)
        }),
        line(PYJWT, RGBColor(199, 125, 18), 10_000, |tokens| {
            other(command(python(), &["-c".into(), PYTHON.into()]), tokens)
        }),
        line("the floor, one file after another", RGBColor(120, 120, 120), 10_000, |tokens| {
            millis(bare_loop(&tokens.out(), tokens.number, Signed::Hs256))
        }),
        line(RENEWD, RGBColor(20, 90, 180), usize::MAX, |tokens| millis(run(tokens.command("once")).time)),
        line("the floor, all synced at once", RGBColor(40, 40, 40), usize::MAX, |tokens| {
            millis(floor(&tokens.out(), tokens.number, Signed::Hs256))
        }),
    ]
}

fn other(mut command: Command, tokens: &Tokens<'_>) -> f64 {
    millis(timed(command.arg(tokens.folder).arg(tokens.number.to_string())))
}

pub(crate) fn figures() {
    let mut lines = lines();
    if !works(&mut command(python(), &["-c".into(), "import jwt".into()])) {
        println!("PyJWT is not installed: its line is left out");
        lines.retain(|line| line.label != PYJWT);
    }
    let numbers: &[usize] = if long() { &[1, 10, 100, 1_000, 10_000] } else { &[1, 10, 100, 1_000] };
    table::title("new HS256 tokens, durable on disk, the whole run");
    for number in numbers {
        let folder = on_disk();
        let tokens = Tokens::new(folder.path(), *number);
        tokens.prepare();
        for line in lines.iter_mut().filter(|line| *number <= line.most) {
            line.points.push((*number as f64, f64::MAX));
        }
        for _ in 0..if *number < 1_000 { 5 } else { 2 } {
            for line in lines.iter_mut().filter(|line| *number <= line.most) {
                tokens.forget();
                let took = (line.cost)(&tokens);
                assert!(tokens.file(number - 1).exists(), "{}: the last token is in place", line.label);
                if let Some((_, best)) = line.points.last_mut() {
                    *best = best.min(took);
                }
            }
        }
        for line in lines.iter().filter(|line| *number <= line.most) {
            let took = line.points.last().map_or(f64::NAN, |(_, took)| *took);
            table::plain(&format!("{number}: {}", line.label), took, "ms");
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.svg");
    draw(&path, &lines, numbers.last().map_or(1.0, |last| *last as f64)).expect("the picture");
    println!("drawn: docs/performance.svg");
}

fn draw(path: &Path, lines: &[Line], most: f64) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, (900, 520)).into_drawing_area();
    area.fill(&WHITE)?;
    let all = || lines.iter().flat_map(|line| line.points.iter().map(|(_, took)| *took));
    let (least, highest) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let mut chart = ChartBuilder::on(&area)
        .caption("New HS256 tokens, durable on disk: the whole run", ("sans-serif", 20))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((1.0..most * 1.2).log_scale(), (least / 2.0..highest * 2.0).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("tokens")
        .y_desc("milliseconds")
        .x_label_formatter(&|number| format!("{number:.0}"))
        .y_label_formatter(&|took| if *took < 1.0 { format!("{took:.1}") } else { format!("{took:.0}") })
        .draw()?;
    for line in lines {
        let (colour, width) = (line.colour, if line.label == RENEWD { 3 } else { 1 });
        chart
            .draw_series(LineSeries::new(line.points.clone(), colour.stroke_width(width)))?
            .label(line.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(width)));
        chart.draw_series(line.points.iter().map(|at| Circle::new(*at, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.filled())
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    area.present()?;
    Ok(())
}
