//! Prompts and examples.

use proptest::prelude::*;

use super::*;
use crate::chat::{ChatTemplate, Message};
use crate::tokenizer::{Reader, TextTokenizer};
use crate::vocabulary::{SPECIAL_TOKENS, train_bpe};
use crate::{Example, Loader};

fn tokenizer() -> TextTokenizer {
    let text = "user assistant Definition: Now complete the following example - Input: Output: weather rain größer";
    TextTokenizer::new(train_bpe([text; 4].into_iter(), 340, &SPECIAL_TOKENS).unwrap(), Reader::Decoder).unwrap()
}

fn chat(source: &str) -> ChatTemplate {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("chat_template.jinja"), source).unwrap();
    ChatTemplate::read(dir.path()).unwrap()
}

fn chatml() -> ChatTemplate {
    ChatTemplate::chatml().unwrap()
}

fn text(tokens: &[u32]) -> String {
    tokenizer().decode(tokens).unwrap()
}

/// A task with one instance.
fn task(input: &str, output: &str) -> Task {
    let instances = vec![instance("Do it.", input, &[output])];
    let (train, test) = (instances.clone(), instances);
    Task {
        train,
        test,
        template: Template::plain(),
        metric: Metric::RougeL,
        choices: None,
        ..read("sums", TaskForm::Jsonl)
    }
}

fn example(chat: &ChatTemplate, limits: Limits, task: &Task) -> TaskExamples {
    Prompts::new(chat, &tokenizer(), limits).unwrap().examples(task, &task.train).unwrap()
}

#[test]
fn what_is_learned_is_the_answer_and_the_end_of_the_turn() {
    let made = example(&chatml(), Limits::NONE, &task("rain", "a coat"));
    let example = &made.examples[0];
    assert_eq!(text(example.prompt()), "<|im_start|>user\nDo it.\n\nrain<|im_end|>\n<|im_start|>assistant\n");
    assert_eq!(text(example.learned()), "a coat<|im_end|>");
    assert_eq!((made.cut_inputs, made.cut_answers), (0, 0));
}

#[test]
fn training_sees_the_prompt_that_is_answered() {
    let (sequence, _) = TaskSequence::read(&sources(), &testdata()).unwrap();
    let (chat, tokenizer) = (chatml(), tokenizer());
    let prompts = Prompts::new(&chat, &tokenizer, Limits { prompt: 80, answer: 8 }).unwrap();
    for task in sequence.tasks() {
        let made = prompts.examples(task, &task.train).unwrap();
        for (example, instance) in made.examples.iter().zip(&task.train) {
            assert_eq!(example.prompt(), prompts.prompt(task, instance).unwrap());
            assert!(text(example.prompt()).ends_with("<|im_start|>assistant\n"));
            assert!((1..=8).contains(&example.learned().len()) && example.answer <= 80);
        }
    }
}

#[test]
fn the_loader_takes_them_and_learns_nothing_but_answers() {
    let task = read("weather", TaskForm::SuperNi);
    let examples = example(&chatml(), Limits::NONE, &task).examples;
    let learned: usize = examples.iter().map(|example| example.learned().len()).sum();
    let loader = Loader::new(examples, 3, 3, 0).unwrap();
    assert_eq!(loader.batch_at(0)[0].learned(), learned);
}

/// As templates of reasoning models do: an empty thought that the prompt to write on does not have.
#[test]
fn what_a_template_writes_before_the_answer_belongs_to_the_prompt() {
    let chat = chat(
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + ('<think>a</think>' if m.role == 'assistant' else '') + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    );
    let task = task("rain", "a");
    let made = example(&chat, Limits::NONE, &task);
    assert!(text(made.examples[0].prompt()).ends_with("assistant\n<think>a</think>"));
    assert_eq!(text(made.examples[0].learned()), "a<|im_end|>");
    let tokenizer = tokenizer();
    let prompt = Prompts::new(&chat, &tokenizer, Limits::NONE).unwrap().prompt(&task, &task.test[0]).unwrap();
    assert_eq!(prompt, made.examples[0].prompt());
}

#[test]
fn a_template_without_special_tokens_is_learned_to_its_end() {
    let chat = chat(
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}",
    );
    assert_eq!(text(example(&chat, Limits::NONE, &task("x", "y z")).examples[0].learned()), "y z\n");
}

#[test]
fn a_long_input_is_cut_at_its_end_and_counted() {
    let long = task("größer rain ".repeat(40).as_str(), "a coat");
    let made = example(&chatml(), Limits { prompt: 40, answer: 9 }, &long);
    let prompt = text(made.examples[0].prompt());
    assert!((30..=40).contains(&made.examples[0].answer), "{}", made.examples[0].answer);
    assert!(prompt.starts_with("<|im_start|>user\nDo it.\n\ngrößer rain"), "{prompt}");
    assert!(prompt.ends_with("<|im_end|>\n<|im_start|>assistant\n"), "{prompt}");
    assert_eq!((made.cut_inputs, made.cut_answers), (1, 0));
}

#[test]
fn a_long_answer_is_cut_and_not_closed() {
    let made = example(&chatml(), Limits { prompt: 99, answer: 3 }, &task("x", "1 2 3 4 5"));
    assert_eq!(made.examples[0].learned().len(), 3);
    assert!("1 2 3 4 5".starts_with(&text(made.examples[0].learned())));
    assert_eq!((made.cut_inputs, made.cut_answers), (0, 1));
}

#[test]
fn limits_that_leave_no_room_are_errors() {
    let (chat, tokenizer) = (chatml(), tokenizer());
    for limits in [Limits { prompt: 0, answer: 1 }, Limits { prompt: 1, answer: 0 }] {
        assert!(Prompts::new(&chat, &tokenizer, limits).is_err());
    }
    let task = task("x", "y");
    let prompts = Prompts::new(&chat, &tokenizer, Limits { prompt: 5, answer: 5 }).unwrap();
    let message = prompts.prompt(&task, &task.test[0]).unwrap_err().to_string();
    assert!(message.contains("without its input, and may have 5"), "{message}");
}

#[test]
fn choices_stand_behind_the_prompt() {
    let task = read("fruit", TaskForm::OLora);
    let (chat, tokenizer) = (chatml(), tokenizer());
    let prompts = Prompts::new(&chat, &tokenizer, Limits::NONE).unwrap();
    let (context, choices) = prompts.choices(&task, &task.train[0]).unwrap();
    assert_eq!(context, prompts.prompt(&task, &task.train[0]).unwrap());
    assert_eq!(choices.iter().map(|choice| text(choice)).collect::<Vec<_>>(), ["sweet", "sour"]);
    let open = read("sums", TaskForm::Jsonl);
    assert!(prompts.choices(&open, &open.train[0]).unwrap_err().to_string().contains("has no choices"));
}

#[test]
fn control_tokens_in_a_task_are_text() {
    let (chat, tokenizer) = (chatml(), tokenizer());
    let task = task("rain <|im_end|>", "a <|im_start|> coat");
    let example = example(&chat, Limits::NONE, &task).examples.remove(0);
    let controls = |tokens: &[u32]| tokens.iter().filter(|&&token| tokenizer.is_special(token)).count();
    assert_eq!((controls(example.prompt()), controls(example.learned())), (3, 1));
    assert!(text(example.learned()).contains("a <|im_start|> coat<|im_end|>"));
}

#[test]
fn a_chat_template_without_the_answer_is_an_error() {
    let chat = chat("{{ messages[0].content }}");
    assert!(Prompts::new(&chat, &tokenizer(), Limits::NONE).unwrap_err().to_string().contains("the model's words"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What is put together equals the whole conversation, tokenized, up to the token that closes the answer.
    #[test]
    fn examples_equal_the_rendered_conversation(input in "\\PC{0,30}", output in "[a-z]\\PC{0,20}") {
        let (chat, task) = (chatml(), task(&input, &output));
        let Example { tokens, .. } = example(&chat, Limits::NONE, &task).examples.remove(0);
        let messages = [Message::new("user", &words(&task, &task.train[0])), Message::new("assistant", output.trim())];
        prop_assert_eq!(text(&tokens) + "\n", chat.render(&messages, false).unwrap());
    }

    #[test]
    fn no_limit_is_passed(input in "\\PC{0,90}", output in "[a-z]\\PC{0,40}", prompt in 20usize..60, answer in 1usize..20) {
        let limits = Limits { prompt, answer };
        let (chat, tokenizer, task) = (chatml(), tokenizer(), task(&input, &output));
        let prompts = Prompts::new(&chat, &tokenizer, limits).unwrap();
        if let Ok(made) = prompts.examples(&task, &task.train) {
            let example = &made.examples[0];
            prop_assert!(example.answer <= prompt && (1..=answer).contains(&example.learned().len()));
            let whole = Prompts::new(&chat, &tokenizer, Limits::NONE).unwrap().examples(&task, &task.train).unwrap();
            let whole = &whole.examples[0];
            prop_assert_eq!(made.cut_inputs == 1, whole.answer > prompt);
            prop_assert_eq!(made.cut_answers == 1, whole.learned().len() > answer);
        }
    }
}
