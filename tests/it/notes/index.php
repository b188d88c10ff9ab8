<?php // The pages of a small notebook: who is who is kept in a session, notes in files.
require __DIR__ . '/lib/session.php';
require __DIR__ . '/lib/notes.php';

$path = $_SERVER['PATH_INFO'] ?? '/';
switch ("{$_SERVER['REQUEST_METHOD']} $path") {
    case 'POST /login':
        log_in($_POST['name'] ?? '');
        redirect('/index.php/');
    case 'POST /logout':
        log_out();
        redirect('/index.php/');
    case 'POST /notes':
        add_note(user(), $_POST['text'] ?? '');
        redirect('/index.php/');
    case 'POST /files':
        $file = $_FILES['file'] ?? ['error' => UPLOAD_ERR_NO_FILE];
        echo keep_file(user(), $file), "\n";
        break;
    case 'GET /':
        require __DIR__ . '/lib/page.php';
        break;
    default:
        http_response_code(404);
        echo "no such page: ", htmlspecialchars($path), "\n";
}
