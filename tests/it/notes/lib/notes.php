<?php // What they have written and sent.
const DATA = __DIR__ . '/../data';

function add_note(string $user, string $text): void {
    $note = json_encode(['user' => $user, 'text' => $text]);
    file_put_contents(DATA . '/notes', "$note\n", FILE_APPEND | LOCK_EX);
}

function notes(): array {
    $lines = is_file(DATA . '/notes') ? file(DATA . '/notes') : [];
    return array_map(fn($line) => json_decode($line, true), $lines);
}

function keep_file(string $user, array $file): string {
    if ($file['error'] !== UPLOAD_ERR_OK) {
        http_response_code(400);
        return "error {$file['error']}";
    }
    $name = basename($file['name']);
    move_uploaded_file($file['tmp_name'], DATA . "/$name");
    return "$user $name {$file['size']} " . hash_file('sha256', DATA . "/$name");
}
