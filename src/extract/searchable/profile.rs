//! The sRGB colour profile (ICC version 2), computed from the standard's numbers.

/// The profile's bytes.
pub(super) fn srgb() -> Vec<u8> {
    let mut tags: Vec<([u8; 4], usize, usize)> = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    let head = 128 + 4 + 9 * 12;
    let mut add = |names: &[&[u8; 4]], body: Vec<u8>| {
        for name in names {
            tags.push((**name, head + data.len(), body.len()));
        }
        data.extend(body);
        data.resize(data.len().next_multiple_of(4), 0);
    };
    add(&[b"desc"], description("sRGB"));
    add(&[b"cprt"], [&b"text\0\0\0\0"[..], b"Public domain\0"].concat());
    // The white of the profile connection space (D50), and the primaries adapted to it.
    add(&[b"wtpt"], point([0.964_2, 1.0, 0.824_9]));
    add(&[b"rXYZ"], point([0.436_07, 0.222_49, 0.013_92]));
    add(&[b"gXYZ"], point([0.385_15, 0.716_87, 0.097_08]));
    add(&[b"bXYZ"], point([0.143_07, 0.060_61, 0.714_1]));
    add(&[b"rTRC", b"gTRC", b"bTRC"], curve());

    let mut profile = Vec::new();
    profile.extend(number(head + data.len()));
    profile.extend([0; 4]); // no preferred colour engine
    profile.extend(0x0210_0000_u32.to_be_bytes());
    profile.extend(b"mntrRGB XYZ ");
    profile.extend([2026_u16, 1, 1, 0, 0, 0].iter().flat_map(|part| part.to_be_bytes()));
    profile.extend(b"acsp");
    profile.extend([0; 28]); // platform, flags, maker, model, attributes, perceptual intent
    profile.extend([0.964_2, 1.0, 0.824_9].iter().flat_map(|&part| fixed(part)));
    profile.resize(128, 0);
    profile.extend(number(tags.len()));
    for (name, at, length) in tags {
        profile.extend(name);
        profile.extend(number(at));
        profile.extend(number(length));
    }
    profile.extend(data);
    profile
}

fn description(text: &str) -> Vec<u8> {
    let mut body = b"desc\0\0\0\0".to_vec();
    body.extend(number(text.len() + 1));
    body.extend(text.as_bytes());
    // Its end, then no text in Unicode and none for Macintosh script codes, whose field has a fixed size.
    body.resize(body.len() + 1 + 8 + 3 + 67, 0);
    body
}

fn point(parts: [f64; 3]) -> Vec<u8> {
    let mut body = b"XYZ \0\0\0\0".to_vec();
    body.extend(parts.iter().flat_map(|&part| fixed(part)));
    body
}

/// 256 points of the curve from stored value to light.
fn curve() -> Vec<u8> {
    let mut body = b"curv\0\0\0\0".to_vec();
    body.extend(number(256));
    for step in 0..=255_u8 {
        let value = f64::from(step) / 255.0;
        let light = if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 65,535")]
        let point = (light * 65_535.0).round() as u16;
        body.extend(point.to_be_bytes());
    }
    body
}

fn fixed(value: f64) -> [u8; 4] {
    #[expect(clippy::cast_possible_truncation, reason = "0 to 1 in 65,536ths")]
    let number = (value * 65_536.0).round() as i32;
    number.to_be_bytes()
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_whole() {
        let profile = srgb();
        assert_eq!(profile[..4], number(profile.len()));
        assert_eq!(&profile[36..40], b"acsp");
        for tag in profile[132..132 + 9 * 12].chunks(12) {
            let at = u32::from_be_bytes(tag[4..8].try_into().unwrap()) as usize;
            let length = u32::from_be_bytes(tag[8..12].try_into().unwrap()) as usize;
            assert!(at.is_multiple_of(4) && at + length <= profile.len(), "{tag:?}");
        }
    }
}
