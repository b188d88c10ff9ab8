<!DOCTYPE html>
<title>Notes</title>
<p>Hello <?= htmlspecialchars($_SESSION['user'] ?? 'stranger') ?></p>
<?php foreach (notes() as $note): ?>
<li><?= htmlspecialchars("{$note['user']}: {$note['text']}") ?></li>
<?php endforeach ?>
