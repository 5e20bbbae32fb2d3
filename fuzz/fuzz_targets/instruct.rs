//! Instruction tasks in every form are read or refused; every answer of one with choices is among them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_data::OnBadRow;
use orbit_data::instruct::{TaskForm, TaskSource};
use orbit_fuzz::{Folder, files};

const FORMS: [TaskForm; 5] =
    [TaskForm::Jsonl, TaskForm::SuperNi, TaskForm::OLora, TaskForm::Ct0Simplification, TaskForm::Ct0Explanation];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, [train, test])) = files(bytes) else { return };
    let folder = Folder::default();
    folder.file("a.train.jsonl", train);
    folder.file("a.test.jsonl", test);
    let mut source = TaskSource::new("a", FORMS[usize::from(choice & 7) % FORMS.len()], "a.train.jsonl");
    source.on_bad_row = if choice & 8 == 0 { OnBadRow::Fail } else { OnBadRow::Skip };
    source.instruction = (choice & 16 == 0).then(|| "What is it?".to_owned());
    if let Ok((task, _)) = source.read(folder.path()) {
        for instance in task.train.iter().chain(&task.test) {
            assert!(task.choices.is_none() || task.gold(instance).is_some());
            let choices = task.choices.as_deref().unwrap_or_default();
            task.template.render(choices, &instance.instruction, &instance.input).expect("a template of its form");
        }
    }
});
