//! Builds again when the web pages were built again.

fn main() {
    println!("cargo:rerun-if-changed=../../web/dist");
}
