//! Rounds of cases, and what is made of their values.

use anyhow::{Context as _, Result};

use crate::interrupt;

/// One thing to measure: a run gives nanoseconds per iteration.
pub(super) struct Case<'a> {
    pub(super) name: &'static str,
    pub(super) run: Box<dyn FnMut() -> Result<f64> + 'a>,
}

/// A case's values, one per round.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) nanoseconds: Vec<f64>,
}

/// Runs every case once a round. The order moves on by one each round, so that no case
/// always follows the same other one.
pub(super) fn interleave(rounds: usize, mut cases: Vec<Case<'_>>) -> Result<Vec<Series>> {
    let new = |case: &Case<'_>| Series { name: case.name, nanoseconds: vec![f64::NAN; rounds] };
    let mut series: Vec<Series> = cases.iter().map(new).collect();
    for round in 0..rounds {
        for position in 0..cases.len() {
            interrupt::check()?;
            let index = (round + position) % cases.len();
            let case = &mut cases[index];
            let value = (case.run)().with_context(|| format!("case `{}`", case.name))?;
            eprintln!("round {}/{rounds}  {:<28}{value:>12.1} ns", round + 1, case.name);
            series[index].nanoseconds[round] = value;
        }
    }
    Ok(series)
}

/// The middle value; the mean of the two in the middle for an even count; NaN for none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

impl Series {
    pub(super) fn median(&self) -> f64 {
        median(&self.nanoseconds)
    }

    /// The median over the rounds of this case's value ÷ the baseline's of the same round.
    pub(super) fn ratio(&self, baseline: &Self) -> f64 {
        median(&self.paired(baseline, |own, base| own / base))
    }

    /// The median over the rounds of what an iteration takes more than the baseline's of the
    /// same round, in nanoseconds.
    pub(super) fn added(&self, baseline: &Self) -> f64 {
        median(&self.paired(baseline, |own, base| own - base))
    }

    fn paired(&self, baseline: &Self, compare: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let pairs = self.nanoseconds.iter().zip(&baseline.nanoseconds);
        pairs.map(|(own, base)| compare(*own, *base)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine is ten times slower in the second round: the ratio stays 2.
        let alone = Series { name: "alone", nanoseconds: vec![100.0, 1000.0, 100.0] };
        let traced = Series { name: "traced", nanoseconds: vec![200.0, 2000.0, 200.0] };
        assert_eq!(traced.ratio(&alone), 2.0);
        assert_eq!(traced.added(&alone), 100.0);
    }

    #[test]
    fn the_order_moves_on_and_values_stay_with_their_case() {
        let order = RefCell::new(String::new());
        let case = |name: &'static str, value: f64| Case {
            name,
            run: Box::new({
                let order = &order;
                move || {
                    order.borrow_mut().push_str(name);
                    Ok(value)
                }
            }),
        };
        let series = interleave(2, vec![case("a", 1.0), case("b", 2.0), case("c", 3.0)]).unwrap();
        assert_eq!(*order.borrow(), "abcbca");
        assert_eq!(series[1], Series { name: "b", nanoseconds: vec![2.0, 2.0] });
    }
}
