//! The letters: a Latin font first, then Hebrew from a font of the system. A font that
//! holds both Hebrew and digits must never come first, or amounts in a Hebrew line print reversed
//! (egui 0.37 shapes by font). No font file is kept in the repository.

use std::path::Path;
use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily};

use crate::theme::STRONG;

const HEBREW: [&str; 9] = [
    "/usr/share/fonts/truetype/noto/NotoSansHebrew-Regular.ttf",
    "/usr/share/fonts/noto/NotoSansHebrew-Regular.ttf",
    "/usr/share/fonts/google-noto/NotoSansHebrew-Regular.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "C:\\Windows\\Fonts\\segoeui.ttf",
    "C:\\Windows\\Fonts\\arial.ttf",
    "/System/Library/Fonts/Supplemental/Arial.ttf",
];

/// Only fonts without Hebrew letters: see the hazard above. The built-in font is a light one, thin beside
/// strong letters of another family; where the family of the strong letters is there, it is used for both.
const LATIN: [&str; 3] = [
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/google-noto/NotoSans-Regular.ttf",
];

/// Only fonts without Hebrew letters.
const STRONG_LATIN: [&str; 4] = [
    "/usr/share/fonts/truetype/noto/NotoSans-SemiBold.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Bold.ttf",
    "/usr/share/fonts/noto/NotoSans-Bold.ttf",
    "/usr/share/fonts/google-noto/NotoSans-Bold.ttf",
];

const STRONG_HEBREW: [&str; 5] = [
    "/usr/share/fonts/truetype/noto/NotoSansHebrew-Bold.ttf",
    "/usr/share/fonts/noto/NotoSansHebrew-Bold.ttf",
    "/usr/share/fonts/google-noto/NotoSansHebrew-Bold.ttf",
    "C:\\Windows\\Fonts\\arialbd.ttf",
    "/System/Library/Fonts/Supplemental/Arial Bold.ttf",
];

/// Gives `ctx` its fonts; must run before the first frame, as views use the strong family.
pub fn install(ctx: &egui::Context) {
    let found = Found {
        latin: first_of(&LATIN),
        hebrew: first_of(&HEBREW),
        strong_latin: first_of(&STRONG_LATIN),
        strong_hebrew: first_of(&STRONG_HEBREW),
    };
    if found.hebrew.is_none() {
        tracing::warn!("no font with Hebrew letters was found; on Debian install fonts-noto-core");
    }
    ctx.set_fonts(definitions(found));
}

/// Of the system only these Hebrew letters: a picture is then the same on every machine.
#[cfg(test)]
pub fn install_built_in(ctx: &egui::Context, hebrew: Option<FontData>) {
    ctx.set_fonts(definitions(Found { hebrew, ..Found::default() }));
}

#[derive(Default)]
struct Found {
    latin: Option<FontData>,
    hebrew: Option<FontData>,
    strong_latin: Option<FontData>,
    strong_hebrew: Option<FontData>,
}

fn first_of(paths: &[&str]) -> Option<FontData> {
    paths.iter().find_map(|path| std::fs::read(Path::new(path)).ok()).map(FontData::from_owned)
}

fn definitions(found: Found) -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let mut normal = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let mut add = |name: &str, data: Option<FontData>| {
        let data = data?;
        fonts.font_data.insert(name.to_owned(), Arc::new(data));
        Some(name.to_owned())
    };
    let latin = add("latin", found.latin);
    let hebrew = add("hebrew", found.hebrew);
    let strong_latin = add("strong latin", found.strong_latin);
    let strong_hebrew = add("strong hebrew", found.strong_hebrew);
    let after_latin = normal.len().min(1);
    let mut strong = normal.clone();
    normal.splice(after_latin..after_latin, hebrew.clone());
    strong.splice(after_latin..after_latin, strong_hebrew.or(hebrew));
    strong.splice(0..0, strong_latin);
    normal.splice(0..0, latin);
    fonts.families.insert(FontFamily::Proportional, normal);
    fonts.families.insert(FontFamily::Name(STRONG.into()), strong);
    fonts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(found: Found) -> (Vec<String>, Vec<String>) {
        let fonts = definitions(found);
        let of = |family| fonts.families.get(&family).cloned().unwrap_or_default();
        (of(FontFamily::Proportional), of(FontFamily::Name(STRONG.into())))
    }

    #[test]
    fn hebrew_never_comes_first_so_that_digits_are_latin() {
        let data = || Some(FontData::from_static(b"not read here"));
        let (normal, strong) =
            families(Found { latin: data(), hebrew: data(), strong_latin: data(), strong_hebrew: data() });
        assert_eq!(normal.iter().position(|name| name == "latin"), Some(0));
        assert_eq!(normal.iter().position(|name| name == "hebrew"), Some(2));
        let (normal, _) = families(Found { hebrew: data(), ..Found::default() });
        assert_eq!(normal.iter().position(|name| name == "hebrew"), Some(1));
        assert_eq!(strong.iter().position(|name| name == "strong latin"), Some(0));
        assert_eq!(strong.iter().position(|name| name == "strong hebrew"), Some(2));
    }

    #[test]
    fn without_system_fonts_both_families_still_exist() {
        let (normal, strong) = families(Found::default());
        assert!(!normal.is_empty());
        assert_eq!(normal, strong);
    }
}
