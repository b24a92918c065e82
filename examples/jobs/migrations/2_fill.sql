insert into fruit values (1), (2);
