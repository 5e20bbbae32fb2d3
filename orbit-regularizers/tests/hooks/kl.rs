use orbit_hook::Hook;
use orbit_hook::testing::HostPass;
use orbit_regularizers::{At, Kl, Lwf};

use crate::toy::STEP;

/// Three positions, the last two of them answers. The student gives the odds 1:1, 3:1 and 1:1 where the original gives
/// 1:3, 1:1 and 1:1, at a temperature of `tau`.
fn pass(tau: f64) -> HostPass {
    let odds = |odds: f64| vec![tau * odds.ln(), 0.0];
    let student = [1.0, 3.0, 1.0].map(odds).to_vec();
    let original = [1.0 / 3.0, 1.0, 1.0].map(odds).to_vec();
    HostPass::new(student, original, vec![false, true, true])
}

/// KL of a fair coin from one that shows heads 3 times in 4, worked out: ½ ln(½ / ¾) + ½ ln(½ / ¼).
fn fair_from_biased() -> f64 {
    0.5 * (4.0f64 / 3.0).ln()
}

/// The other direction: ¾ ln(¾ / ½) + ¼ ln(¼ / ½).
fn biased_from_fair() -> f64 {
    0.75 * 1.5f64.ln() - 0.25 * 2.0f64.ln()
}

fn term(kl: &mut Kl, tau: f64) -> f64 {
    let mut pass = pass(tau);
    kl.loss(&STEP, &mut pass).unwrap();
    assert_eq!(pass.terms().len(), 1);
    assert_eq!((pass.terms()[0].name.as_str(), pass.terms()[0].weight), ("kl", kl.strength));
    pass.terms()[0].value
}

#[test]
fn over_the_answer_it_is_the_forward_divergence() {
    assert!((term(&mut Kl::new(0.5), 1.0) - fair_from_biased() / 2.0).abs() < 1e-12);
}

#[test]
fn over_all_positions_the_prompt_counts_too() {
    let mut kl = Kl { at: At::All, ..Kl::new(0.5) };
    assert!((term(&mut kl, 1.0) - (biased_from_fair() + fair_from_biased()) / 3.0).abs() < 1e-12);
}

#[test]
fn learning_without_forgetting_is_that_over_all_positions_at_temperature_two() {
    let mut pass = pass(2.0);
    Lwf::default().loss(&STEP, &mut pass).unwrap();
    let expected = 4.0 * (biased_from_fair() + fair_from_biased()) / 3.0;
    assert_eq!((pass.terms().len(), pass.terms()[0].weight), (1, 1.0));
    assert!((pass.terms()[0].value - expected).abs() < 1e-12);
}

#[test]
fn temperature_flattens_and_is_made_up_for_by_its_square() {
    let mut kl = Kl { temperature: 2.0, ..Kl::new(0.5) };
    assert!((term(&mut kl, 2.0) - 4.0 * fair_from_biased() / 2.0).abs() < 1e-12);
}
