use expect_test::expect;
use orbit_hook::{Hook, Space, Vector::*};

use crate::toy::{BUILT_INS, STEP, build, moved, run};

#[test]
fn the_order_of_the_list_is_the_order_of_effect() {
    let end = |hooks: [&str; 2]| {
        let mut space = moved(&[8.0], &[0.0], &[]);
        hooks.map(build).iter_mut().for_each(|hook| hook.weights(&STEP, &mut space).unwrap());
        space.weights()[0][0]
    };
    let (ball, soup) = ("ball = { radius = 1.0 }", "soup = { every_steps = 1 }");
    assert_eq!(end([ball, soup]), 0.5, "onto the surface, then half way in");
    assert_eq!(end([soup, ball]), 1.0, "half way in is still outside");
}

/// The drift at the end of the toy run, so that a change of what any pair does shows.
#[test]
fn final_drift_of_every_ordered_pair() {
    let name = |config: &str| build(config).name().to_owned();
    let mut table = format!("{:<12}", "then:");
    BUILT_INS.iter().for_each(|second| table += &format!("{:>12}", name(second)));
    for first in BUILT_INS {
        table += &format!("\n{:<12}", name(first));
        for second in BUILT_INS {
            let pair = if first == second { vec![first] } else { vec![first, second] };
            let mut space = run(pair.into_iter().map(build).collect()).unwrap().space;
            table += &format!("{:>12.5}", space.distance(Weights, Origin).unwrap());
        }
    }
    expect![[r#"
        then:              orbit        soup interpolate         ema        ball       l2_sp       decay          kl
        orbit            0.22259     0.12834     0.05565     0.25630     0.40000     0.39441     0.70985     0.22259
        soup             0.11129     0.37499     0.09375     0.63849     0.20000     0.25700     0.53794     0.37499
        interpolate      0.05565     0.09375     0.31429     1.13947     0.10000     0.17334     0.38174     0.31429
        ema              0.48088     0.34709     0.28487     1.13947     0.57580     0.66372     1.40394     1.13947
        ball             0.40000     0.20000     0.10000     0.39774     0.40000     0.40000     0.52090     0.40000
        l2_sp            0.39441     0.25700     0.17334     0.66372     0.40000     0.69337     0.93859     0.69337
        decay            0.64437     0.50461     0.38174     1.42279     0.40000     0.93859     1.52698     1.52698
        kl               0.22259     0.37499     0.31429     1.13947     0.40000     0.69337     1.52698     1.25717"#]]
    .assert_eq(&table);
}
