use std::path::{Path, PathBuf};

use orbit_data::catalogue::Catalogue;
use orbit_data::corpus::ReadReport;
use orbit_data::semantic_id::{BalancedKMeans, Collisions, Method, RandomCodes, Recipe, ResidualKMeans};
use orbit_data::{DocumentCorpus, OnBadRow};
use orbit_models::rq_vae::{IdShape, RqVae};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::range::{self, Fault, fault};
use crate::usage::Usage;

/// Draws the test queries of Cranfield, which has no split: the same for every run.
const CRANFIELD_SPLIT: u64 = 0;
const SOURCES: &str = "`sequences`, `interactions`, `generated`, `documents`";

/// Items and who met them, or documents and who asked for them: exactly one of `sequences`, `interactions`, `generated` and
/// `documents`.
///
/// Paths are relative to the data directory (`--data DIR` or `ORBIT_DATA`), or to the run file's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Corpus {
    /// A user a line, `user item item ...`, oldest first, items counted from 1. May be `.gz` or `.bz2`, as all text files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequences: Option<PathBuf>,
    /// JSON lines of `user`, `item` and `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactions: Option<PathBuf>,
    /// A made-up catalogue that needs no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Catalogue>,
    /// Texts to be found, and queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Documents>,
    /// JSON lines of `id` and `title`, an item each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<PathBuf>,
    /// A `.npy` array with a row an item, from which semantic IDs are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<PathBuf>,
    /// What to do with rows that cannot be used. Default: fail.
    #[serde(default)]
    pub on_bad_row: OnBadRow,
}

/// Documents and queries in one of the forms that are read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Documents {
    /// BoolQ as O-LoRA has it: questions with their passages, which are the documents.
    #[serde(rename = "boolq")]
    BoolQ {
        /// The training questions, whose passages are to be found.
        train: PathBuf,
        /// The questions to be measured on; those of other passages are left out.
        test: PathBuf,
    },
    /// The folder of the Cranfield collection, of whose queries one in five is measured on.
    Cranfield(PathBuf),
    /// JSON lines of one's own.
    Jsonl {
        /// Lines of `id` and `text`.
        documents: PathBuf,
        /// Lines of `id`, `text`, `relevant` and `split`.
        queries: PathBuf,
    },
}

impl Documents {
    /// Reads them.
    ///
    /// # Errors
    /// Those of the form.
    pub(crate) fn read(&self, on_bad_row: OnBadRow) -> orbit_data::Result<(DocumentCorpus, ReadReport)> {
        match self {
            Self::BoolQ { train, test } => DocumentCorpus::read_boolq(train, test, on_bad_row),
            Self::Cranfield(folder) => DocumentCorpus::read_cranfield(folder, CRANFIELD_SPLIT),
            Self::Jsonl { documents, queries } => DocumentCorpus::read_jsonl(documents, queries, on_bad_row),
        }
    }

    fn data_paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::BoolQ { train, test } => vec![train, test],
            Self::Cranfield(folder) => vec![folder],
            Self::Jsonl { documents, queries } => vec![documents, queries],
        }
    }
}

/// Where a [`Corpus`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// Sequences and items, for [`orbit_data::Corpus::read_sequences`].
    Sequences(&'a Path, &'a Path),
    /// Interactions and items, for [`orbit_data::Corpus::read_jsonl`].
    Interactions(&'a Path, &'a Path),
    /// A catalogue to generate, embeddings and all.
    Generated(&'a Catalogue),
    /// Documents and queries.
    Documents(&'a Documents),
}

impl Corpus {
    /// Where the corpus comes from.
    ///
    /// # Errors
    /// [`Usage`], unless there is exactly one place; a checked run has that.
    pub(crate) fn source(&self) -> Result<Source<'_>, Usage> {
        self.one_source().map_err(|(key, reason)| Usage::new(format!("{key} {reason}")))
    }

    /// The paths of its files, to be resolved in place.
    pub(crate) fn data_paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let Self { sequences, interactions, items, embeddings, documents, .. } = self;
        let documents = documents.iter_mut().flat_map(Documents::data_paths);
        [sequences, interactions, items, embeddings].into_iter().flatten().chain(documents)
    }

    fn one_source(&self) -> Result<Source<'_>, Fault> {
        let items = || match &self.items {
            Some(items) => Ok(items.as_path()),
            None => fault("corpus.items", "is missing: name the JSON lines file of the items"),
        };
        match (&self.sequences, &self.interactions, &self.generated, &self.documents) {
            (Some(sequences), None, None, None) => Ok(Source::Sequences(sequences, items()?)),
            (None, Some(interactions), None, None) => Ok(Source::Interactions(interactions, items()?)),
            (None, None, Some(catalogue), None) => Ok(Source::Generated(catalogue)),
            (None, None, None, Some(documents)) => Ok(Source::Documents(documents)),
            (None, None, None, None) => fault("corpus", format!("is empty: give one of {SOURCES}")),
            _ => fault("corpus", format!("has more than one of {SOURCES}: leave one")),
        }
    }

    pub(super) fn check(&self, needs_embeddings: bool) -> Result<(), Fault> {
        if self.documents.is_some() && self.items.is_some() {
            return fault("corpus.items", "does not go with `documents`, which are the items: leave it out");
        }
        match self.one_source()? {
            Source::Generated(catalogue) => {
                range::at_least_one("corpus.generated.items", catalogue.items)?;
                range::at_least_one("corpus.generated.users", catalogue.users)?;
                for (key, given) in [("corpus.items", &self.items), ("corpus.embeddings", &self.embeddings)] {
                    if given.is_some() {
                        return fault(key, "does not go with `generated`, which makes its own: leave it out");
                    }
                }
                Ok(())
            }
            _ if self.embeddings.is_none() && needs_embeddings => fault(
                "corpus.embeddings",
                "is missing: semantic IDs are made from it (`orbit embed` makes it), unless `semantic_ids.file` has them",
            ),
            _ => Ok(()),
        }
    }
}

/// A short tuple of codes for each item, made from the embeddings, or from a file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SemanticIds {
    /// IDs that `orbit ids` saved, or, with `field`, that somebody published; the other keys then do nothing, but for
    /// `collisions` with `field`. Found like the corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The field of `file`, JSON lines of items, that holds an item's codes, as a list or as text such as `<a_183><b_70>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What makes the codes. Default: residual_kmeans.
    pub method: IdMethod,
    /// What becomes of items with the same codes. Default: extra_level.
    pub collisions: Collisions,
    /// Whether each dimension of the embeddings is scaled to mean 0 and variance 1 first. Default: false.
    pub standardize: bool,
    /// Codes an ID, before the one that tells apart items with the same codes. Default: 3.
    pub levels: usize,
    /// Codes to choose from at each level, 1 to 65,536. Default: 256.
    pub codes: usize,
    /// At most this many rounds of k-means a level; nothing to `rq_vae`. Default: 25.
    pub iterations: usize,
    /// Seeds the first centroids, and all of `rq_vae`. Default: 1.
    pub seed: u64,
    /// Whether what a level leaves over is scaled to length one for the next, which uses codes more evenly; nothing to `rq_vae`.
    /// Default: true.
    pub normalize_residuals: bool,
    /// How the method `rq_vae` trains. Absent: its defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rq_vae: Option<RqVae>,
}

/// What makes codes of embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IdMethod {
    /// k-means, level by level, over what the levels before left over.
    #[default]
    ResidualKmeans,
    /// The same with every code used by as many items.
    BalancedKmeans,
    /// TIGER's RQ-VAE, trained on the CPU: under a minute for 12,000 items on two cores. To train it once for many runs, save
    /// IDs by `orbit ids` and give `file`.
    RqVae,
    /// Codes without meaning: a control.
    Random,
    /// One code an item, a token each, without meaning.
    Atomic,
}

impl Default for SemanticIds {
    fn default() -> Self {
        let ResidualKMeans { levels, codes, iterations, normalize_residuals, .. } = ResidualKMeans::default();
        Self {
            file: None,
            field: None,
            method: IdMethod::default(),
            collisions: Collisions::default(),
            standardize: false,
            levels,
            codes,
            iterations,
            seed: 1,
            normalize_residuals,
            rq_vae: None,
        }
    }
}

impl SemanticIds {
    /// Whether IDs are made from embeddings.
    pub(super) fn needs_embeddings(&self) -> bool {
        self.file.is_none() && self.method != IdMethod::Atomic
    }

    /// How these keys make IDs from embeddings; none where a network is trained for them, or embeddings do not matter.
    pub(crate) fn recipe(&self) -> Option<Recipe> {
        let Self { levels, codes, iterations, seed, normalize_residuals, collisions, standardize, .. } = *self;
        let method = match self.method {
            IdMethod::ResidualKmeans => {
                Method::ResidualKMeans(ResidualKMeans { levels, codes, iterations, seed, normalize_residuals })
            }
            IdMethod::BalancedKmeans => {
                Method::BalancedKMeans(BalancedKMeans { levels, codes, iterations, seed, normalize_residuals })
            }
            IdMethod::RqVae => return None,
            IdMethod::Random => Method::Random(RandomCodes { levels, codes, seed }),
            IdMethod::Atomic => return None,
        };
        Some(Recipe { method, collisions, standardize })
    }

    /// The IDs that a network is trained for.
    pub(crate) fn shape(&self) -> IdShape {
        IdShape { levels: self.levels, codes: self.codes, standardize: self.standardize }
    }

    /// Spells out the defaults of what is trained.
    pub(super) fn fill(&mut self) {
        if self.method == IdMethod::RqVae {
            self.rq_vae.get_or_insert_default();
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        range::at_least_one("semantic_ids.levels", self.levels)?;
        if self.levels > 64 {
            return fault("semantic_ids.levels", format!("must be at most 64, got {}", self.levels));
        }
        range::at_least_one("semantic_ids.codes", self.codes)?;
        range::at_least_one("semantic_ids.iterations", self.iterations)?;
        if self.field.is_some() && self.file.is_none() {
            return fault("semantic_ids.field", "is of a file: give semantic_ids.file, JSON lines of items");
        }
        if self.codes > 65_536 {
            return fault("semantic_ids.codes", format!("must be at most 65536, got {}", self.codes));
        }
        self.rq_vae.as_ref().map_or(Ok(()), check_rq_vae)
    }
}

fn check_rq_vae(settings: &RqVae) -> Result<(), Fault> {
    let RqVae { hidden, latent, epochs, batch, learning_rate, commitment, .. } = settings;
    hidden.iter().try_for_each(|&units| range::at_least_one("semantic_ids.rq_vae.hidden", units))?;
    range::at_least_one("semantic_ids.rq_vae.latent", *latent)?;
    range::at_least_one("semantic_ids.rq_vae.epochs", *epochs)?;
    range::at_least_one("semantic_ids.rq_vae.batch", *batch)?;
    range::above_zero("semantic_ids.rq_vae.learning_rate", *learning_rate)?;
    range::finite("semantic_ids.rq_vae.learning_rate", *learning_rate)?;
    range::finite("semantic_ids.rq_vae.commitment", *commitment)?;
    if *commitment < 0.0 {
        return fault("semantic_ids.rq_vae.commitment", format!("must be 0 or above, got {commitment}"));
    }
    Ok(())
}
