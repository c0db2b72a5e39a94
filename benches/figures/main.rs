//! The figures that DESIGN.md asks for, measured on the binary beside the least that must be done (docs/performance.md).
//! Arguments: which of `once`, `start`, `reload`, `rotate`, `generate` (default: all), and `plot`. The short form of each takes seconds;
//! RENEWD_LONG=1 takes minutes. RENEWD_BIN names another binary to measure.

mod floor;
mod generate;
mod once;
mod plot;
mod reload;
mod rotate;
mod start;
mod tokens;

type Part = (&'static str, fn());

const PARTS: [Part; 5] = [
    ("once", once::figures),
    ("start", start::figures),
    ("reload", reload::figures),
    ("rotate", rotate::figures),
    ("generate", generate::figures),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some((_, rest)) = args.split_first().filter(|(first, _)| *first == floor::ALONE) {
        return floor::alone(rest);
    }
    let asked: Vec<String> = args.into_iter().filter(|arg| !arg.starts_with('-')).collect();
    for (name, figures) in PARTS {
        if asked.is_empty() || asked.iter().any(|one| one == name) {
            figures();
        }
    }
    // It writes a file of the repository.
    if asked.iter().any(|one| one == "plot") {
        plot::figures();
    }
}
