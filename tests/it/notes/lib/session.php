<?php // Who is there.
session_start();

function user(): string {
    if (!isset($_SESSION['user'])) {
        http_response_code(403);
        exit("log in first\n");
    }
    return $_SESSION['user'];
}

function log_in(string $name): void {
    session_regenerate_id(true);
    $_SESSION['user'] = $name;
}

function log_out(): void {
    session_destroy();
}

function redirect(string $path): never {
    header("Location: http://{$_SERVER['HTTP_HOST']}$path", true, 303);
    exit;
}
