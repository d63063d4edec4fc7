fn main() -> std::process::ExitCode {
    efface::cli::main()
}
