//! Percentiles and rounding. Pure.

/// The value below which `percent` of the values lie, by the nearest-rank method; `None` without values.
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Rounded to `digits` decimals, for people and for files that are compared.
pub fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 50), Some(100.0));
        assert_eq!(percentile(&values, 99), Some(198.0));
        assert_eq!(percentile(&values, 100), Some(200.0));
        assert_eq!(percentile(&[3.5], 50), Some(3.5));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn rounding() {
        assert!((rounded(1.036_49, 3) - 1.036).abs() < 1e-12);
        assert!((rounded(-0.25, 1) + 0.3).abs() < 1e-12);
    }
}
