//! Prompts that show a task by examples of it.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::{Instance, Task};
use crate::corpus::hex;
use crate::{Error, Result};

/// How in-context prompts are made. They are those of function vectors (Todd et al., arXiv 2310.15213): `Q: x\nA: y\n\n`
/// for every demonstration, then `Q: x\nA:`. The instruction is left out, so that the demonstrations alone say what is to
/// be done; it is the question only of an instance whose input is blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InContext {
    /// How many demonstrations each prompt has; with 0 it is the bare question.
    pub shots: usize,
    /// Whether the demonstrations' outputs are permuted among them, so that the prompt shows the form of the task and
    /// not the function. The demonstrations and their order are those of the prompt that is not shuffled.
    pub shuffled: bool,
    /// What the draws depend on, besides the index of the asked instance.
    pub seed: u64,
}

/// A prompt and what is to follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InContextPrompt {
    /// Ends in `A:`, without a space behind it.
    pub prompt: String,
    /// The first output of the asked instance, with the space before it.
    pub answer: String,
}

/// A question and its answer.
type Pair<'a> = (&'a str, &'a str);

impl InContext {
    /// A prompt for each of the instances of `asked`, whose demonstrations are drawn from the task's training part without
    /// replacement, never one that asks the same. The first prompts of a longer `asked` are the same.
    ///
    /// When `shuffled`, as few demonstrations as possible show an output that equals their own: none, unless more than
    /// half of them have the same one.
    ///
    /// ```
    /// use orbit_data::instruct::{InContext, Instance, Task, Template};
    /// use orbit_data::metric::Metric;
    /// let instance = |input: &str, output: &str| Instance {
    ///     instruction: "Give the opposite.".into(),
    ///     input: input.into(),
    ///     outputs: vec![output.into()],
    /// };
    /// let task = Task {
    ///     name: "antonym".into(),
    ///     train: vec![instance("hot", "cold"), instance("up", "down")],
    ///     test: vec![instance("big", "small")],
    ///     metric: Metric::ExactMatch,
    ///     choices: None,
    ///     chance: None,
    ///     template: Template::plain(),
    ///     steps: None,
    ///     paraphrases: vec![],
    /// };
    /// let shown = InContext { shots: 2, shuffled: false, seed: 1 };
    /// let [asked] = shown.prompts(&task, &task.test)?.try_into().unwrap();
    /// assert!(asked.prompt.contains("Q: hot\nA: cold\n\n") && asked.prompt.ends_with("\n\nQ: big\nA:"));
    /// assert_eq!(asked.answer, " small");
    ///
    /// let shuffled = InContext { shuffled: true, ..shown };
    /// assert!(shuffled.prompts(&task, &task.test)?[0].prompt.contains("Q: hot\nA: down\n\n"));
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// Too few training instances that ask something else than an asked one, or an instance, asked or trained, without
    /// an output.
    pub fn prompts(&self, task: &Task, asked: &[Instance]) -> Result<Vec<InContextPrompt>> {
        let train = pairs(task, "training", &task.train)?;
        let asked = pairs(task, "asked", asked)?;
        (0..).zip(asked).map(|(index, asked)| self.prompt(task, &train, index, asked)).collect()
    }

    fn prompt(&self, task: &Task, train: &[Pair], index: u64, asked: Pair) -> Result<InContextPrompt> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(index);
        let (question, answer) = asked;
        let others = train.iter().copied().filter(|(other, _)| *other != question).collect();
        let mut shown = self.draw(others, &mut rng).map_err(|found| {
            Error::Invalid(format!(
                "task '{}': {found} training instances ask something else than asked instance {index}, from 0, and {} \
                 demonstrations are needed: lower `shots`, or give the task more to train on",
                task.name, self.shots
            ))
        })?;
        if self.shuffled {
            shuffle_outputs(&mut shown, &mut rng);
        }
        let demonstrations: String = shown.iter().map(|(x, y)| format!("Q: {x}\nA: {y}\n\n")).collect();
        Ok(InContextPrompt { prompt: format!("{demonstrations}Q: {question}\nA:"), answer: format!(" {answer}") })
    }

    /// As many of the `others` as there are shots, in random order, or how many there are if that is too few.
    fn draw<'a>(&self, mut others: Vec<Pair<'a>>, rng: &mut ChaCha8Rng) -> Result<Vec<Pair<'a>>, usize> {
        if others.len() < self.shots {
            return Err(others.len());
        }
        Ok(others.partial_shuffle(rng, self.shots).0.to_vec())
    }
}

impl InContextPrompt {
    /// SHA-256 of the prompts and answers, in order, as 64 hex digits.
    ///
    /// ```
    /// use orbit_data::instruct::InContextPrompt;
    /// let asked = |prompt: &str, answer: &str| InContextPrompt { prompt: prompt.into(), answer: answer.into() };
    /// assert_ne!(InContextPrompt::digest(&[asked("Q: a\nA:", " b")]), InContextPrompt::digest(&[asked("Q: a\nA: ", "b")]));
    /// ```
    pub fn digest(prompts: &[Self]) -> String {
        let mut hash = Sha256::new();
        for text in prompts.iter().flat_map(|asked| [&asked.prompt, &asked.answer]) {
            // With the lengths, no other list of prompts has the same bytes.
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hex(&hash.finalize())
    }
}

/// The questions and first outputs of the instances of a `part` of the task.
fn pairs<'a>(task: &Task, part: &str, instances: &'a [Instance]) -> Result<Vec<Pair<'a>>> {
    let pair = |(index, instance): (usize, &'a Instance)| match instance.outputs.first() {
        Some(output) => Ok((question(instance), output.as_str())),
        None => Err(Error::Invalid(format!(
            "task '{}': {part} instance {index}, from 0: there is no output: give at least one acceptable answer",
            task.name
        ))),
    };
    instances.iter().enumerate().map(pair).collect()
}

fn question(instance: &Instance) -> &str {
    if instance.input.trim().is_empty() { &instance.instruction } else { &instance.input }
}

/// Permutes the outputs so that as few as possible stay what they were.
///
/// In a random order, but with equal outputs next to each other, everyone takes the output that stands as many places on
/// as the most frequent one has copies. Of outputs that all differ, that is a random cycle of them all.
fn shuffle_outputs(shown: &mut [Pair], rng: &mut ChaCha8Rng) {
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.shuffle(rng);
    let outputs: Vec<&str> = order.iter().map(|&at| shown[at].1).collect();
    let first = |at: &usize| outputs.iter().position(|output| *output == shown[*at].1);
    order.sort_by_cached_key(first);
    let copies = order.chunk_by(|&a, &b| shown[a].1 == shown[b].1).map(<[_]>::len).max().unwrap_or(0);
    let mut taken: Vec<&str> = order.iter().map(|&at| shown[at].1).collect();
    // All may be the same: then `copies` is their number, and the rotation goes round.
    taken.rotate_left(copies);
    for (at, output) in order.into_iter().zip(taken) {
        shown[at].1 = output;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::instruct::{TaskForm, TaskSource, Template};
    use crate::metric::Metric;

    fn instance(input: &str, output: &str) -> Instance {
        Instance { instruction: "Do it.".into(), input: input.into(), outputs: vec![output.into()] }
    }

    fn task(train: Vec<Instance>) -> Task {
        Task {
            name: "letters".into(),
            test: train.clone(),
            train,
            metric: Metric::ExactMatch,
            choices: None,
            chance: None,
            template: Template::plain(),
            steps: None,
            paraphrases: vec![],
        }
    }

    /// `x0` to `y0` and so on.
    fn numbered(count: usize) -> Task {
        task((0..count).map(|i| instance(&format!("x{i}"), &format!("y{i}"))).collect())
    }

    /// The demonstrations of a prompt and its question, whose parts have no blank lines.
    fn taken_apart(prompt: &str) -> (Vec<(&str, &str)>, &str) {
        let (shown, question) = prompt.strip_suffix("\nA:").unwrap().rsplit_once("Q: ").unwrap();
        let shown = shown.split_terminator("\n\n").map(|pair| pair.strip_prefix("Q: ").unwrap().split_once("\nA: "));
        (shown.map(Option::unwrap).collect(), question)
    }

    #[test]
    fn no_shots_ask_the_bare_question() {
        let bare = InContext { shots: 0, shuffled: true, seed: 0 };
        let asked = instance("one\n\ntwo", "three");
        let [prompt] = bare.prompts(&task(vec![]), &[asked]).unwrap().try_into().unwrap();
        assert_eq!(prompt, InContextPrompt { prompt: "Q: one\n\ntwo\nA:".into(), answer: " three".into() });
    }

    #[test]
    fn demonstrations_are_whole_and_blank_inputs_ask_by_the_instruction() {
        let shown = InContext { shots: 1, shuffled: true, seed: 0 };
        let asked = Instance { instruction: "Say it.".into(), ..instance(" ", "it") };
        let prompts = shown.prompts(&task(vec![instance("a\n\nb", "c")]), &[asked]).unwrap();
        assert_eq!(prompts[0].prompt, "Q: a\n\nb\nA: c\n\nQ: Say it.\nA:");
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let message = |shots, task: &Task, asked: &[Instance]| {
            InContext { shots, shuffled: false, seed: 0 }.prompts(task, asked).unwrap_err().to_string()
        };
        let three = numbered(3);
        let text = message(3, &three, &three.test[1..]);
        assert!(text.contains("task 'letters': 2 training instances"), "{text}");
        assert!(text.contains("asked instance 0, from 0, and 3 demonstrations are needed: lower `shots`"), "{text}");
        let silent = [Instance { outputs: vec![], ..instance("x", "") }];
        assert!(message(1, &three, &silent).contains("asked instance 0, from 0: there is no output"));
        let text = message(1, &task(silent.to_vec()), &three.test);
        assert!(text.contains("training instance 0, from 0: there is no output"), "{text}");
    }

    #[test]
    fn shuffling_keeps_as_few_outputs_as_it_can() {
        let kept = |outputs: &str, seed| {
            let mut shown: Vec<Pair> = outputs.split(' ').map(|output| (output, output)).collect();
            shuffle_outputs(&mut shown, &mut ChaCha8Rng::seed_from_u64(seed));
            shown.iter().filter(|(was, is)| was == is).count()
        };
        for seed in 0..50 {
            assert_eq!(kept("a b a b", seed), 0);
            assert_eq!(kept("a a b c", seed), 0);
            assert_eq!(kept("a b c c c b d", seed), 0);
            assert_eq!(kept("a a a b", seed), 2);
            assert_eq!(kept("a a a", seed), 3);
            assert_eq!(kept("a", seed), 1);
        }
    }

    #[test]
    fn everybody_is_shown_equally_often() {
        let task = numbered(6);
        let asked = vec![instance("other", "z"); 3000];
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        for asked in (InContext { shots: 2, shuffled: false, seed: 3 }).prompts(&task, &asked).unwrap() {
            *first.entry(taken_apart(&asked.prompt).0[0].0.to_owned()).or_default() += 1;
        }
        // 500 each, with a standard deviation of 20.
        assert!(first.len() == 6 && first.values().all(|count| (400..600).contains(count)), "{first:?}");
    }

    #[test]
    fn the_digest_sees_order_and_borders() {
        let task = numbered(8);
        let prompts = |seed| InContext { shots: 3, shuffled: false, seed }.prompts(&task, &task.test).unwrap();
        let digest = InContextPrompt::digest;
        assert_eq!(digest(&prompts(0)), digest(&prompts(0)));
        assert_ne!(digest(&prompts(0)), digest(&prompts(1)));
        assert_ne!(digest(&prompts(0)), digest(&prompts(0)[1..]));
        let turned: Vec<_> = prompts(0).into_iter().rev().collect();
        assert_ne!(digest(&prompts(0)), digest(&turned));
    }

    #[test]
    fn the_first_prompts_stay_as_they_are() {
        let task = numbered(9);
        let prompts = InContext { shots: 4, shuffled: true, seed: 0 }.prompts(&task, &task.test[..2]).unwrap();
        let inline = |asked: &InContextPrompt| format!("{}|{}\n", asked.prompt.replace('\n', " "), asked.answer);
        expect_test::expect![[r#"
            Q: x2 A: y8  Q: x7 A: y6  Q: x6 A: y2  Q: x8 A: y7  Q: x0 A:| y0
            Q: x4 A: y6  Q: x7 A: y4  Q: x6 A: y2  Q: x2 A: y7  Q: x1 A:| y1
        "#]]
        .assert_eq(&prompts.iter().map(inline).collect::<String>());
    }

    /// Also when one file is both parts, as here, nobody demonstrates itself.
    #[test]
    fn the_functions_of_the_recipes_can_be_shown() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/functions");
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files.len(), 10);
        for file in &files {
            let source = TaskSource { test: Some(file.into()), ..TaskSource::new("function", TaskForm::Jsonl, file) };
            let (task, _) = source.read(&folder).unwrap();
            let inputs: BTreeSet<_> = task.train.iter().map(|instance| &instance.input).collect();
            assert!(inputs.len() == task.train.len() && inputs.len() >= 50, "{file:?}");
            assert!(task.train.iter().all(|instance| instance.instruction == task.train[0].instruction), "{file:?}");
            for prompt in (InContext { shots: 10, shuffled: false, seed: 0 }).prompts(&task, &task.test).unwrap() {
                let (shown, question) = taken_apart(&prompt.prompt);
                assert!(shown.len() == 10 && shown.iter().all(|(x, _)| *x != question), "{}", prompt.prompt);
            }
        }
    }

    proptest! {
        #[test]
        fn prompts_show_others_and_shuffling_moves_every_output(
            count in 3usize..30, shots in 2usize..12, asked in 1usize..30, seed in any::<u64>()
        ) {
            let (task, shots, asked) = (numbered(count), shots.min(count - 1), asked.min(count));
            let shown = InContext { shots, shuffled: false, seed };
            let shuffled = InContext { shuffled: true, ..shown };
            let prompts = shown.prompts(&task, &task.train).unwrap();
            prop_assert_eq!(&shown.prompts(&task, &task.train[..asked]).unwrap(), &prompts[..asked]);
            for (right, wrong) in prompts.iter().zip(shuffled.prompts(&task, &task.train).unwrap()) {
                prop_assert_eq!(&right.answer, &wrong.answer);
                let ((right, question), (wrong, same)) = (taken_apart(&right.prompt), taken_apart(&wrong.prompt));
                prop_assert_eq!(question, same);
                prop_assert_eq!(right.len(), shots);
                prop_assert!(right.iter().all(|(x, y)| x[1..] == y[1..] && *x != question));
                prop_assert_eq!(right.iter().collect::<BTreeSet<_>>().len(), shots);
                prop_assert!(right.iter().zip(&wrong).all(|(right, wrong)| right.0 == wrong.0 && right.1 != wrong.1));
                let outputs = |pairs: &[(&str, &str)]| pairs.iter().map(|pair| pair.1.to_owned()).collect::<BTreeSet<_>>();
                prop_assert_eq!(outputs(&right), outputs(&wrong));
            }
        }
    }
}
