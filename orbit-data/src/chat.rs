//! Chat templates: the Jinja program in a model's directory that turns messages into the text the model was trained on.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Error, Result, read_file};

/// What a model without a template reads and writes.
const PLAIN: &str = "{% for message in messages %}{{ message.content }}{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}";

const CHATML: &str = "\
{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\
{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}";

/// What a template may use: an instruction takes one, and so do 64 bytes of text that it makes. Real ones take some hundreds a
/// message; one that would go on for ever is stopped within a second, and one that doubles a text before it has 64 MiB.
pub(crate) const FUEL: u64 = 1 << 20;

const CONFIG: &str = "tokenizer_config.json";
const TEMPLATE: &str = "chat_template.jinja";

/// What one side says in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The words.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: &str, content: &str) -> Self {
        Self { role: role.to_owned(), content: content.to_owned() }
    }
}

/// One exchange, cut where the model starts to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The user's words and all that the template puts around them.
    pub prompt: String,
    /// The model's words and what closes them.
    pub answer: String,
}

/// A model's chat template with its tokenizer configuration.
///
/// Templates are rendered as transformers does it: block trimming, Python's string methods, `raise_exception`, the special
/// tokens as variables. `strftime_now` is left undefined, so that a template that would print today's date takes its
/// fixed default and a prompt is the same on every day.
///
/// A template comes from whoever made the model. It is interpreted, sees the messages and the special tokens, can read no
/// file, and is stopped when it does not come to an end.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    config: Map<String, Value>,
    environment: Environment<'static>,
}

impl ChatTemplate {
    /// Reads `chat_template.jinja` or, without it, `chat_template` of `tokenizer_config.json` in a model directory.
    ///
    /// A model without one, such as BLOOMZ and mT0, is given the words as they are, and its answer ends with its `eos_token`
    /// (Muennighoff et al., arXiv 2211.01786).
    ///
    /// # Errors
    /// When there is neither a template nor an `eos_token`, or the template is not valid Jinja.
    pub fn read(model_dir: &Path) -> Result<Self> {
        let config_path = model_dir.join(CONFIG);
        let config = match read_if_there(&config_path)? {
            Some(text) => serde_json::from_str(&text).map_err(|error| Error::file(&config_path, error.to_string()))?,
            None => Map::new(),
        };
        let source = match read_if_there(&model_dir.join(TEMPLATE))? {
            Some(source) => source,
            None => configured(&config).or_else(|| plain(&config)).ok_or_else(|| {
                Error::file(
                    &config_path,
                    format!("no chat_template here and no {TEMPLATE} beside it: is the model a chat model?"),
                )
            })?,
        };
        Self::new(source, config)
    }

    /// The template that a tokenizer configuration holds, as from a GGUF file.
    ///
    /// # Errors
    /// When there is none, or it is not valid Jinja.
    pub fn from_config(config: Map<String, Value>) -> Result<Self> {
        let missing = || Error::Invalid("the model has no chat template: is it a chat model?".into());
        Self::new(configured(&config).ok_or_else(missing)?, config)
    }

    /// The words as they are; an answer ends with `eos_token`. For the tokens of
    /// [`item_tokenizer`](crate::vocabulary::item_tokenizer), whose end is `</s>`.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn plain(eos_token: &str) -> Result<Self> {
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": eos_token,
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "clean_up_tokenization_spaces": false,
        });
        Self::new(PLAIN.to_owned(), config.as_object().cloned().unwrap_or_default())
    }

    /// ChatML, the template of models trained by orbit, for the special tokens of
    /// [`train_bpe`](crate::vocabulary::train_bpe).
    ///
    /// ```
    /// use orbit_data::chat::{ChatTemplate, Message};
    /// let text = ChatTemplate::chatml()?.render(&[Message::new("user", "Hello")], true)?;
    /// assert_eq!(text, "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn chatml() -> Result<Self> {
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<|endoftext|>",
            "eos_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": false,
        });
        Self::new(CHATML.to_owned(), config.as_object().cloned().unwrap_or_default())
    }

    fn new(source: String, config: Map<String, Value>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| failed("configuring", error))?);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", |reason: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment
            .add_template_owned("chat", without_generation_tags(&source))
            .map_err(|error| failed("parsing", error))?;
        Ok(Self { source, config, environment })
    }

    /// Renders `messages`; `add_generation_prompt` ends the text where the model is to write its turn.
    ///
    /// # Errors
    /// When the template refuses the messages, with what it says.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let template = self.environment.get_template("chat").map_err(|error| failed("finding", error))?;
        let message =
            |message: &Message| context! { role => message.role.as_str(), content => message.content.as_str() };
        let messages: Vec<_> = messages.iter().map(message).collect();
        let variables = context! { messages, add_generation_prompt, ..self.special_tokens() };
        template.render(variables).map_err(|error| failed("rendering", error))
    }

    /// Renders a user's words and the model's answer to them, and cuts the text where the model starts to write.
    ///
    /// ```
    /// use orbit_data::chat::ChatTemplate;
    /// let turn = ChatTemplate::chatml()?.turn("2 + 2?", "4")?;
    /// assert!(turn.prompt.ends_with("<|im_start|>assistant\n"));
    /// assert_eq!(turn.answer, "4<|im_end|>\n");
    /// # Ok::<(), orbit_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the template does not render, or writes a conversation that does not start with its own prompt, because then
    /// the model would be trained on other prompts than it is asked.
    pub fn turn(&self, user: &str, answer: &str) -> Result<Turn> {
        let messages = [Message::new("user", user), Message::new("assistant", answer)];
        let prompt = self.render(&messages[..1], true)?;
        let whole = self.render(&messages, false)?;
        match whole.strip_prefix(&prompt) {
            Some(answer) => Ok(Turn { answer: answer.to_owned(), prompt }),
            None => Err(Error::Invalid(format!(
                "the chat template does not start a conversation with its own prompt: {whole:?} does not start with {prompt:?}"
            ))),
        }
    }

    /// A special token of the tokenizer's configuration, by a name such as `bos_token`.
    pub fn special_token(&self, name: &str) -> Option<&str> {
        self.config.get(name).and_then(content)
    }

    /// Whether the words are written as they are, because the model has no template.
    pub fn is_plain(&self) -> bool {
        self.source == PLAIN
    }

    /// Writes the template and the tokenizer configuration into a model directory, but for `auto_map`, which names Python
    /// code that others would run: it is not part of what is written here.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut config = self.config.clone();
        config.remove("auto_map");
        config.insert("chat_template".to_owned(), self.source.clone().into());
        let path = dir.join(CONFIG);
        std::fs::write(&path, format!("{:#}\n", Value::Object(config))).map_err(|source| Error::io(&path, source))
    }

    /// The configured special tokens under the names that templates use, such as `bos_token`.
    fn special_tokens(&self) -> BTreeMap<String, String> {
        let tokens = self.config.iter().filter(|(name, _)| name.ends_with("_token"));
        tokens.filter_map(|(name, token)| Some((name.clone(), content(token)?.to_owned()))).collect()
    }
}

/// Transformers' own block `{% generation %}` marks the words of the assistant and writes nothing: a condition that holds.
fn without_generation_tags(source: &str) -> String {
    let mut plain = source.to_owned();
    for (open, close) in [("{%", "%}"), ("{%-", "%}"), ("{%", "-%}"), ("{%-", "-%}")] {
        plain = plain.replace(&format!("{open} generation {close}"), &format!("{open} if true {close}"));
        plain = plain.replace(&format!("{open} endgeneration {close}"), &format!("{open} endif {close}"));
    }
    plain
}

/// The text of a token, which is written as a string or as an object with its flags.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// The template in a tokenizer configuration: a string, or a list of named ones, of which `default` is meant.
fn configured(config: &Map<String, Value>) -> Option<String> {
    let template = config.get("chat_template")?;
    let default = || template.as_array()?.iter().find(|entry| entry["name"] == "default")?["template"].as_str();
    template.as_str().or_else(default).map(str::to_owned)
}

/// The words as they are, for a model that is not one of chat but knows how to end an answer.
fn plain(config: &Map<String, Value>) -> Option<String> {
    config.get("eos_token").and_then(content)?;
    Some(PLAIN.to_owned())
}

fn read_if_there(path: &Path) -> Result<Option<String>> {
    match read_file(path) {
        Ok(text) => String::from_utf8(text).map(Some).map_err(|error| Error::file(path, error.to_string())),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io(path, source)),
    }
}

fn failed(what: &str, source: minijinja::Error) -> Error {
    Error::Tokenizer { what: format!("{what} the chat template"), source: source.into() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn user(content: &str) -> [Message; 1] {
        [Message::new("user", content)]
    }

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::new(source.to_owned(), Map::new()).unwrap()
    }

    #[test]
    fn blocks_are_trimmed_as_transformers_does() {
        let text = template(
            "{% for m in messages %}\n    {% if m.role == 'user' %}\n{{ m.content.strip() }}\n    {% endif %}\n{% endfor %}\n",
        );
        assert_eq!(text.render(&user(" a "), false).unwrap(), "a\n");
    }

    /// The idioms of recent models' templates; the expected text is what transformers 5.23 writes for it.
    #[test]
    fn renders_what_transformers_renders() {
        let chat = template(include_str!("../testdata/idioms.jinja"));
        let messages = [("user", " hi "), ("assistant", "hm</think>\n\nyes "), ("user", "<tool>")]
            .map(|(r, c)| Message::new(r, c));
        let expected = "<user0>hi\n\n<a>yes</a><user0><tool>\n\n<a>\n";
        assert_eq!(chat.render(&messages, true).unwrap(), expected);
    }

    #[test]
    fn a_template_that_refuses_says_why() {
        let error = template("{{ raise_exception('roles must alternate') }}").render(&user("a"), false).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("roles must alternate"), "{source}");
    }

    /// In the way of Gemma's: a special token first, another name for the assistant, trimmed words.
    #[test]
    fn reads_the_template_and_the_special_tokens_of_a_model() {
        let dir = tempfile::tempdir().unwrap();
        let source = "{{ bos_token }}{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}{{ '<s>' + role + '\\n' + m['content'] | trim + eos_token + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<s>model\\n' }}{% endif %}";
        let config = json!({
            "bos_token": {"content": "<bos>", "lstrip": false},
            "eos_token": "<end>",
            "chat_template": [{"name": "tool_use", "template": ""}, {"name": "default", "template": source}],
        });
        std::fs::write(dir.path().join(CONFIG), config.to_string()).unwrap();
        let turn = ChatTemplate::read(dir.path()).unwrap().turn(" hi ", "yes").unwrap();
        assert_eq!(turn.prompt, "<bos><s>user\nhi<end>\n<s>model\n");
        assert_eq!(turn.answer, "yes<end>\n");

        std::fs::write(dir.path().join(TEMPLATE), "{{ messages[0].content }}").unwrap();
        assert_eq!(ChatTemplate::read(dir.path()).unwrap().render(&user("a"), false).unwrap(), "a");
    }

    #[test]
    fn a_directory_without_a_template_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG), "{}").unwrap();
        let message = ChatTemplate::read(dir.path()).unwrap_err().to_string();
        assert!(message.contains("no chat_template here"), "{message}");
    }

    #[test]
    fn a_model_without_a_template_reads_the_words_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG), json!({"eos_token": "</s>"}).to_string()).unwrap();
        let turn = ChatTemplate::read(dir.path()).unwrap().turn("Translate: cat", "chat").unwrap();
        assert_eq!((turn.prompt.as_str(), turn.answer.as_str()), ("Translate: cat", "chat</s>"));
    }

    #[test]
    fn a_template_without_the_prefix_property_is_an_error() {
        let source = "{{ messages[0].content }}{% if add_generation_prompt %}<think>{% else %}{{ messages[1].content }}{% endif %}";
        let message = template(source).turn("a", "b").unwrap_err().to_string();
        assert!(message.contains("does not start with \"a<think>\""), "{message}");
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        for source in [
            "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
            "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
            "{% include 'chat' %}",
        ] {
            let error = template(source).render(&user("a"), false).unwrap_err();
            assert!(error.to_string().contains("rendering the chat template"), "{source}: {error}");
        }
        // Few instructions may make a text of any size.
        for source in [
            "{{ 'a' * 100000000 }}",
            "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        ] {
            let error = template(source).render(&user("a"), false).unwrap_err();
            assert!(error.to_string().contains("rendering the chat template"), "{source}: {error}");
        }
        let nested = format!("{{{{ {}1 }}}}", "(".repeat(1 << 16));
        assert!(ChatTemplate::new(nested, Map::new()).is_err());
    }

    /// A long conversation is far from what stops a template.
    #[test]
    fn a_long_conversation_is_rendered() {
        let messages: Vec<Message> = (0..10_000).map(|at| Message::new("user", &format!("message {at}"))).collect();
        let text = ChatTemplate::chatml().unwrap().render(&messages, true).unwrap();
        assert!(text.contains("message 9999<|im_end|>"));
    }

    #[test]
    fn a_template_reads_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "a secret").unwrap();
        for way in ["{% include P %}", "{% extends P %}", "{% import P as p %}{{ p }}", "{% from P import p %}{{ p }}"]
        {
            let source = way.replace('P', &format!("{:?}", secret.to_str().unwrap()));
            assert!(template(&source).render(&user("a"), false).is_err(), "{source}");
        }
    }

    #[test]
    fn code_that_a_tokenizer_names_is_not_passed_on() {
        let dir = tempfile::tempdir().unwrap();
        let config =
            json!({"eos_token": "</s>", "auto_map": {"AutoTokenizer": ["someone/else--code.Tokenizer", null]}});
        std::fs::write(dir.path().join(CONFIG), config.to_string()).unwrap();
        ChatTemplate::read(dir.path()).unwrap().save(dir.path()).unwrap();
        let saved = std::fs::read_to_string(dir.path().join(CONFIG)).unwrap();
        assert!(saved.contains("eos_token") && !saved.contains("code.Tokenizer"), "{saved}");
    }

    #[test]
    fn what_is_saved_reads_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let chat = ChatTemplate::chatml().unwrap();
        chat.save(dir.path()).unwrap();
        let read = ChatTemplate::read(dir.path()).unwrap();
        assert_eq!((read.source, read.config["eos_token"].as_str()), (chat.source, Some("<|im_end|>")));
    }
}
