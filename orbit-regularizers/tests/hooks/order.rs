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

/// The drift in the last stage of the toy run, so that a change of what any pair does shows.
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
        then:              orbit        soup interpolate         ema        ball       l2_sp       decay          kl         lwf         ewc         mas          si      o_lora      freeze        halfinstruction_vector
        orbit            0.13197     0.12781     0.11336     0.12733     0.27010     0.04996     0.10587     0.13197     0.13197     0.16194     0.03850     0.09523     0.13197     0.13337     0.23930     0.13197
        soup             0.12781     0.30461     0.10132     0.38021     0.20000     0.23651     0.34326     0.30461     0.30461     0.24000     0.25261     0.18985     0.30461     0.09573     0.26144     0.30461
        interpolate      0.11336     0.10132     0.27250     0.31438     0.10000     0.17350     0.30454     0.27250     0.27250     0.22454     0.21730     0.11371     0.27250     0.08564     0.23191     0.27250
        ema              0.34683     0.29059     0.25472     0.31438     0.49603     0.38262     0.12459     0.31438     0.31438     0.30249     0.31621     0.26013     0.31438     0.09880     0.33248     0.31438
        ball             0.40000     0.20000     0.10000     0.39714     0.40000     0.40000     0.46867     0.40000     0.40000     0.40000     0.40000     0.40000     0.40000     0.16967     0.40000     0.40000
        l2_sp            0.04996     0.23651     0.17350     0.38262     0.40000     0.38451     0.29428     0.38451     0.38451     0.30673     0.32832     0.29937     0.38451     0.12084     0.34987     0.38451
        decay            0.13299     0.33901     0.30454     0.10387     0.40000     0.29428     0.06596     0.06596     0.06596     0.07301     0.09018     0.09043     0.06596     0.02522     0.15288     0.06596
        kl               0.13197     0.30461     0.27250     0.31438     0.40000     0.38451     0.06596     0.27461     0.27461     0.27087     0.28998     0.24156     0.27461     0.08630     0.30954     0.27461
        lwf              0.13197     0.30461     0.27250     0.31438     0.40000     0.38451     0.06596     0.27461     0.27461     0.27087     0.28998     0.24156     0.27461     0.08630     0.30954     0.27461
        ewc              0.16194     0.24000     0.22454     0.30249     0.40000     0.30673     0.07301     0.27087     0.27087     0.27087     0.26812     0.22983     0.27087     0.08646     0.28917     0.27087
        mas              0.03850     0.25261     0.21730     0.31621     0.40000     0.32832     0.09018     0.28998     0.28998     0.26812     0.28998     0.23740     0.28998     0.09118     0.32090     0.28998
        si               0.09763     0.17250     0.16398     0.26387     0.33346     0.28057     0.08011     0.24156     0.24156     0.22824     0.23449     0.24156     0.24156     0.08185     0.25434     0.24156
        o_lora           0.13197     0.30461     0.27250     0.31438     0.40000     0.38451     0.06596     0.27461     0.27461     0.27087     0.28998     0.24156     0.27461     0.08630     0.30954     0.27461
        freeze           0.13337     0.09573     0.08564     0.09880     0.16967     0.12084     0.05534     0.08630     0.08630     0.08646     0.09118     0.08185     0.08630     0.08630     0.08630     0.08630
        half             0.23930     0.26144     0.23191     0.33248     0.40000     0.34987     0.13962     0.30954     0.30954     0.28917     0.32090     0.25434     0.30954     0.08630     0.30954     0.30954
        instruction_vector     0.13197     0.30461     0.27250     0.31438     0.40000     0.38451     0.06596     0.27461     0.27461     0.27087     0.28998     0.24156     0.27461     0.08630     0.30954     0.27461"#]]
    .assert_eq(&table);
}
