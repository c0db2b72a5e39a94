//! Owns: a line of a table: what was measured, beside its goal.
//! Does not: fail a build: the figures are of the machine that made them.

/// Prints what was measured, its goal, and how they compare.
pub fn line(what: &str, measured: f64, goal: f64, unit: &str) {
    let ratio = measured / goal;
    let verdict = if ratio <= 1.0 { "" } else { "  over" };
    println!("  {what:<52} {measured:>10.2} {unit:<4} goal {goal:>9.2}  {ratio:>6.2} of it{verdict}");
}

/// Prints a figure that has no goal of its own.
pub fn plain(what: &str, measured: f64, unit: &str) {
    println!("  {what:<52} {measured:>10.2} {unit}");
}

pub fn title(text: &str) {
    println!("\n{text}");
}
