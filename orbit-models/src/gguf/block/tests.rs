use safetensors::SafeTensors;

use super::*;

/// Raw blocks of every type and what the `gguf` package of Python makes of them.
const GOLDEN: &[u8] = include_bytes!("../../../../testdata/gguf/blocks.safetensors");

fn golden(kind: BlockType) -> (Vec<u8>, Vec<u32>) {
    let file = SafeTensors::deserialize(GOLDEN).unwrap();
    let blocks = file.tensor(&format!("{}.blocks", kind.name())).unwrap().data().to_vec();
    let values = file.tensor(&format!("{}.values", kind.name())).unwrap();
    (blocks, values.data().as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
}

fn bits(kind: BlockType, blocks: &[u8]) -> Vec<u32> {
    kind.dequantize(blocks).into_iter().map(f32::to_bits).collect()
}

#[test]
fn values_are_those_of_the_reference_to_the_last_bit() {
    for kind in ALL {
        let (blocks, expected) = golden(kind);
        let found = bits(kind, &blocks);
        assert_eq!(found.len(), expected.len(), "{}", kind.name());
        let differing = (0..found.len()).find(|i| found[*i] != expected[*i]);
        let values = differing.map(|i| (i, f32::from_bits(found[i]), f32::from_bits(expected[i])));
        assert_eq!(values, None, "{}: entry, found, expected", kind.name());
    }
}

#[test]
fn sizes_are_those_of_the_reference() {
    for kind in ALL {
        let (blocks, expected) = golden(kind);
        assert_eq!(kind.bytes_of(expected.len() as u64), Some(blocks.len() as u64), "{}", kind.name());
        let one = kind.dequantize(&blocks[..kind.bytes() as usize]);
        assert_eq!(one.len() as u64, kind.entries(), "{}", kind.name());
    }
}

/// More blocks than one thread takes at once.
#[test]
fn long_tensors_are_their_blocks_one_after_another() {
    for kind in ALL {
        let (blocks, expected) = golden(kind);
        let times = 3000 * kind.bytes() as usize / blocks.len() + 1;
        assert!(bits(kind, &blocks.repeat(times)) == expected.repeat(times), "{}", kind.name());
    }
}

#[test]
fn types_that_are_not_read_are_named() {
    let message = |id| BlockType::from_id(id).unwrap_err();
    assert!(message(16).starts_with("is of type IQ2_XXS, which is not read; read are F32, F16, BF16,"));
    assert!(message(16).ends_with("quantise as Q4_K_M, or give the original weights"));
    for (id, name) in [(4, "Q4_2"), (9, "Q8_1"), (15, "Q8_K"), (19, "IQ1_S"), (24, "I8"), (29, "IQ1_M"), (41, "Q1_0")] {
        assert!(message(id).contains(&format!("type {name},")), "{}", message(id));
    }
    for (id, name) in [(31, "Q4_0_4_4"), (34, "TQ1_0"), (38, "IQ4_NL_8_8"), (39, "MXFP4"), (40, "NVFP4")] {
        assert!(message(id).contains(&format!("type {name},")), "{}", message(id));
    }
    for id in [42, 99, u32::MAX] {
        assert!(message(id).starts_with(&format!("is of type {id}, which this version does not know;")));
    }
}

#[test]
fn numbers_and_names_belong_together() {
    for (id, name) in
        [(0, "F32"), (8, "Q8_0"), (12, "Q4_K"), (14, "Q6_K"), (20, "IQ4_NL"), (23, "IQ4_XS"), (30, "BF16")]
    {
        assert_eq!(BlockType::from_id(id).unwrap().name(), name);
    }
}
