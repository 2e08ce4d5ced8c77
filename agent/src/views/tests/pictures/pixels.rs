//! Paints what egui wants painted by the processor alone, so that a picture is the same on every machine: no
//! graphics library, corners in whole 256ths of a pixel, and no pixel painted twice where triangles meet.

use std::collections::HashMap;

use egui::epaint::{ClippedPrimitive, ImageDelta, Primitive, Vertex};
use egui::{Color32, ColorImage, Context, FullOutput, ImageData, Pos2, Rect, TextureId, TexturesDelta};
use egui_kittest::TestRenderer;
use image::{Rgba, RgbaImage};

/// Parts of a pixel that a corner is rounded to.
const PARTS: i64 = 256;

/// A sheet of one colour, and the textures that egui has handed out.
pub struct Pixels {
    ground: Color32,
    textures: HashMap<TextureId, ColorImage>,
}

impl Pixels {
    /// An empty sheet of this colour.
    pub fn new(ground: Color32) -> Pixels {
        Pixels { ground, textures: HashMap::new() }
    }

    fn take(&mut self, id: TextureId, delta: &ImageDelta) {
        let ImageData::Color(image) = &delta.image;
        let Some([left, top]) = delta.pos else {
            self.textures.insert(id, image.as_ref().clone());
            return;
        };
        let whole = self.textures.get_mut(&id).expect("a part comes after the whole");
        for (y, row) in image.pixels.chunks(image.size[0]).enumerate() {
            let start = (top + y) * whole.size[0] + left;
            whole.pixels[start..start + row.len()].copy_from_slice(row);
        }
    }
}

impl TestRenderer for Pixels {
    fn handle_delta(&mut self, delta: &mut TexturesDelta) {
        for (id, images) in delta.set.drain() {
            images.iter().for_each(|image| self.take(id, image));
        }
        for id in delta.free.drain() {
            self.textures.remove(&id);
        }
    }

    fn render(&mut self, ctx: &Context, output: &FullOutput) -> Result<RgbaImage, String> {
        let scale = ctx.pixels_per_point();
        let size = (ctx.content_rect().size() * scale).round();
        let mut picture = RgbaImage::from_pixel(size.x as u32, size.y as u32, Rgba(self.ground.to_array()));
        for ClippedPrimitive { clip_rect, primitive } in ctx.tessellate(output.shapes.clone(), scale) {
            let Primitive::Mesh(mesh) = primitive else { return Err("only meshes are painted".to_owned()) };
            let texture = self.textures.get(&mesh.texture_id).ok_or("a texture is missing")?;
            let clip = Bounds::of(clip_rect * scale, &picture);
            for corners in mesh.indices.chunks_exact(3) {
                let corners = [corners[0], corners[1], corners[2]].map(|at| mesh.vertices[at as usize]);
                fill(&mut picture, clip, texture, corners, scale);
            }
        }
        Ok(picture)
    }
}

/// Whole pixels, the last ones not included.
#[derive(Clone, Copy)]
struct Bounds {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Bounds {
    fn of(clip: Rect, picture: &RgbaImage) -> Bounds {
        let within = |at: f32, most: u32| (at.round() as i64).clamp(0, i64::from(most));
        let (width, height) = picture.dimensions();
        Bounds {
            left: within(clip.left(), width),
            top: within(clip.top(), height),
            right: within(clip.right(), width),
            bottom: within(clip.bottom(), height),
        }
    }
}

/// Twice the area of the triangle: positive where it turns with the clock.
fn turn(a: [i64; 2], b: [i64; 2], c: [i64; 2]) -> i64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

fn fill(picture: &mut RgbaImage, clip: Bounds, texture: &ColorImage, mut corners: [Vertex; 3], scale: f32) {
    let place = |vertex: &Vertex| {
        [vertex.pos.x, vertex.pos.y].map(|at| (f64::from(at * scale) * PARTS as f64).round() as i64)
    };
    if turn(place(&corners[0]), place(&corners[1]), place(&corners[2])) < 0 {
        corners.swap(1, 2);
    }
    let places = [place(&corners[0]), place(&corners[1]), place(&corners[2])];
    let area = turn(places[0], places[1], places[2]);
    if area == 0 {
        return;
    }
    let sides = [(1, 2), (2, 0), (0, 1)].map(|(from, to)| (places[from], places[to]));
    // A pixel on a side belongs to the triangle below it or to its right, and to no other.
    let owns = sides.map(|(from, to)| (to[1] == from[1] && to[0] > from[0]) || to[1] < from[1]);
    let span = |axis: usize| {
        let at = places.map(|place| place[axis]);
        let (least, most) = (at.into_iter().min().unwrap_or(0), at.into_iter().max().unwrap_or(0));
        (least.div_euclid(PARTS), most.div_euclid(PARTS) + 1)
    };
    let ((left, right), (top, bottom)) = (span(0), span(1));
    let [first, others @ ..] = &corners;
    let plain = others.iter().all(|corner| (corner.color, corner.uv) == (first.color, first.uv));
    let plain = plain.then(|| blend(texture, &corners, [1.0, 0.0, 0.0]));
    for y in top.max(clip.top)..bottom.min(clip.bottom) {
        for x in left.max(clip.left)..right.min(clip.right) {
            let middle = [x, y].map(|at| at * PARTS + PARTS / 2);
            let parts = sides.map(|(from, to)| turn(from, to, middle));
            let inside = |side: usize| parts[side] > 0 || (parts[side] == 0 && owns[side]);
            if inside(0) && inside(1) && inside(2) {
                let shares = || parts.map(|part| (part as f64 / area as f64) as f32);
                let color = plain.unwrap_or_else(|| blend(texture, &corners, shares()));
                lay(picture.get_pixel_mut(x as u32, y as u32), color);
            }
        }
    }
}

/// The colour of a point that has these shares of the three corners, its alpha already in it.
fn blend(texture: &ColorImage, corners: &[Vertex; 3], shares: [f32; 3]) -> [f32; 4] {
    let (mut color, mut at) = ([0.0; 4], Pos2::ZERO);
    for (corner, share) in corners.iter().zip(shares) {
        at += corner.uv.to_vec2() * share;
        for (sum, part) in color.iter_mut().zip(corner.color.to_array()) {
            *sum += f32::from(part) * share;
        }
    }
    let texel = sample(texture, at);
    std::array::from_fn(|n| color[n] * texel[n] / 255.0)
}

/// Between the four nearest texels.
fn sample(texture: &ColorImage, at: Pos2) -> [f32; 4] {
    let [width, height] = texture.size;
    let (x, y) = (at.x * width as f32 - 0.5, at.y * height as f32 - 0.5);
    let (right, below) = (x - x.floor(), y - y.floor());
    let mut found = [0.0; 4];
    for (dx, dy, share) in [
        (0.0, 0.0, (1.0 - right) * (1.0 - below)),
        (1.0, 0.0, right * (1.0 - below)),
        (0.0, 1.0, (1.0 - right) * below),
        (1.0, 1.0, right * below),
    ] {
        let column = (x.floor() + dx).clamp(0.0, width as f32 - 1.0) as usize;
        let row = (y.floor() + dy).clamp(0.0, height as f32 - 1.0) as usize;
        for (sum, part) in found.iter_mut().zip(texture.pixels[row * width + column].to_array()) {
            *sum += f32::from(part) * share;
        }
    }
    found
}

fn lay(under: &mut Rgba<u8>, over: [f32; 4]) {
    let left = 1.0 - over[3] / 255.0;
    for (part, over) in under.0.iter_mut().zip(over) {
        *part = (f32::from(*part) * left + over).round().clamp(0.0, 255.0) as u8;
    }
}
