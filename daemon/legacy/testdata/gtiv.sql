-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: imbiz
-- ------------------------------------------------------
-- Server version	8.0.36

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;

--
-- Current Database: `imbiz`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `imbiz` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;

USE `imbiz`;

--
-- Table structure for table `contacts`
--

DROP TABLE IF EXISTS `contacts`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `contacts` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `user_id` bigint DEFAULT NULL,
  `contacts_user_id` bigint DEFAULT NULL,
  `deleted` tinyint NOT NULL DEFAULT '0',
  `create_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `contacts`
--

LOCK TABLES `contacts` WRITE;
/*!40000 ALTER TABLE `contacts` DISABLE KEYS */;
INSERT INTO `contacts` VALUES (1,1,2,0,'2023-05-04 08:30:00'),(2,2,1,0,'2023-05-04 08:30:00'),(3,1,3,1,'2023-05-04 08:30:00'),(4,2,5,0,'2023-05-04 08:30:00'),(5,1,2,0,'2023-05-04 08:30:00'),(6,1,99,0,'2023-05-04 08:30:00'),(7,1,1,0,'2023-05-04 08:30:00'),(8,6,1,1,'2023-05-04 08:30:00'),(9,6,1,0,'2023-05-04 08:30:00'),(10,1,6,0,'2023-05-04 08:30:00'),(11,1,4,0,'2023-05-04 08:30:00'),(12,10000,2,0,'2023-05-04 08:30:00'),(13,2,10000,0,'2023-05-04 08:30:00');
/*!40000 ALTER TABLE `contacts` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `country`
--

DROP TABLE IF EXISTS `country`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `country` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(191) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `country`
--

LOCK TABLES `country` WRITE;
/*!40000 ALTER TABLE `country` DISABLE KEYS */;
INSERT INTO `country` VALUES (1,'中国'),(2,'Côte d\'Ivoire');
/*!40000 ALTER TABLE `country` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `faq`
--

DROP TABLE IF EXISTS `faq`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `faq` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `title` varchar(191) DEFAULT NULL,
  `content` longtext,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `faq`
--

LOCK TABLES `faq` WRITE;
/*!40000 ALTER TABLE `faq` DISABLE KEYS */;
INSERT INTO `faq` VALUES (1,'How?','Like this; (and) so.');
/*!40000 ALTER TABLE `faq` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `room`
--

DROP TABLE IF EXISTS `room`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `room` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `room_name` varchar(191) DEFAULT NULL,
  `avatar` varchar(191) DEFAULT NULL,
  `member_limit` bigint DEFAULT '500',
  `notice` varchar(191) DEFAULT NULL,
  `member_num` bigint DEFAULT NULL,
  `create_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  `update_time` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `room`
--

LOCK TABLES `room` WRITE;
/*!40000 ALTER TABLE `room` DISABLE KEYS */;
INSERT INTO `room` VALUES (1,'家人群 ❤️','http://img.example.com/roomavatar1',500,'周日 6 点\n吃饭',77,'2023-05-04 08:30:00',NULL),(2,'Bob\'s very long name of a group','file:///sdcard/a.jpg',500,NULL,77,'2023-05-04 08:30:00',NULL),(3,'empty',NULL,500,NULL,77,'2023-05-04 08:30:00',NULL),(4,'  ',NULL,0,'',77,'2023-05-04 08:30:00',NULL),(5,'two owners',NULL,500,'',77,'2023-05-04 08:30:00',NULL);
/*!40000 ALTER TABLE `room` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `user`
--

DROP TABLE IF EXISTS `user`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `user` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `username` varchar(191) DEFAULT NULL,
  `tel_code` bigint DEFAULT NULL COMMENT '国际区号',
  `tel` varchar(191) DEFAULT NULL COMMENT '手机号',
  `password` longtext,
  `role` tinyint DEFAULT '10' COMMENT '用户角色 10.普通用户 20.系统管理员，啥权限都有 100.开发人员',
  `nickname` longtext,
  `birthday` longtext,
  `gender` tinyint NOT NULL DEFAULT '0' COMMENT '性别 0.保密 1.男 2.女',
  `avatar` longtext,
  `last_login_time` bigint DEFAULT NULL,
  `contacts_version` bigint NOT NULL DEFAULT '0',
  `intro` text COMMENT '个人简介',
  `fans_num` bigint,
  `follow_num` bigint,
  `collect_num` bigint,
  `support_num` bigint,
  `collect_video_num` bigint,
  `create_video_num` bigint,
  `access_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  `create_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  `update_time` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `idx_user_username` (`username`),
  KEY `idx_tel` (`tel_code`,`tel`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `user`
--

LOCK TABLES `user` WRITE;
/*!40000 ALTER TABLE `user` DISABLE KEYS */;
INSERT INTO `user` VALUES (1,'wei',NULL,NULL,'2633d6c3ce9f0aa580b090fab75d1619',100,'小明 😀','1990-01-02',1,'http://img.example.com/u1?v=2',1683189000,12,'你好，\"世界\"',-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(2,'lan',NULL,NULL,'a4f16df41550fa692abbe2462dcdfdcf',10,'蓝天👩‍👧',NULL,2,NULL,1683189000,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(3,'o\'neil',NULL,NULL,'e71273fe19fef7733c817dfa0ef54c7c',10,'D\'Arcy O\'Neil',NULL,0,NULL,1683189000,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(4,'WEI',NULL,NULL,'e5231f4aba50fdc33242118a6a4673dc',10,'WEI',NULL,0,NULL,1683189000,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(5,'8613800138000',86,'13800138000','4a2d5f5f84e2b34e2757d2f3c5a632af',10,'+8613800138000',NULL,0,NULL,1683189000,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(6,'nopass',NULL,NULL,'',10,' \t ',NULL,0,NULL,1683189000,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(7,'emptypass',86,'13800138000','aee54c71ddff83d4f585bfd43298ab93',10,'emptypass',NULL,0,NULL,1683189000,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(8,'admin2',NULL,NULL,'5fb236a1d62b639b276539dcb2428deb',20,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',NULL,9,'file:///sdcard/x.jpg',99999999999,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(10000,'builtin',NULL,NULL,'5fb236a1d62b639b276539dcb2428deb',10,'builtin',NULL,0,NULL,1683189000,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL),(2000000000,'far',NULL,NULL,'5fb236a1d62b639b276539dcb2428deb',10,'far',NULL,0,NULL,1683189000,0,NULL,-3,7,7,7,0,0,'2023-05-04 08:30:00','2023-05-04 08:30:00.123',NULL);
/*!40000 ALTER TABLE `user` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `user_room`
--

DROP TABLE IF EXISTS `user_room`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `user_room` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `user_id` bigint NOT NULL DEFAULT '0',
  `room_id` bigint NOT NULL DEFAULT '0',
  `role` tinyint DEFAULT '10',
  `create_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  `update_time` datetime(3) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `idx_uidrid` (`user_id`,`room_id`),
  CONSTRAINT `fk` FOREIGN KEY (`user_id`) REFERENCES `user` (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `user_room`
--

LOCK TABLES `user_room` WRITE;
/*!40000 ALTER TABLE `user_room` DISABLE KEYS */;
INSERT INTO `user_room` VALUES (1,1,1,30,'2023-05-04 08:30:00',NULL),(2,1,2,10,'2023-05-04 08:30:00',NULL),(3,1,8,20,'2023-05-04 08:30:00',NULL),(4,2,3,30,'2023-05-04 08:30:00',NULL),(5,2,7,10,'2023-05-04 08:30:00',NULL),(6,4,6,10,'2023-05-04 08:30:00',NULL),(7,4,7,20,'2023-05-04 08:30:00',NULL),(8,5,1,30,'2023-05-04 08:30:00',NULL),(9,5,2,30,'2023-05-04 08:30:00',NULL),(10,8,5,10,'2023-05-04 08:30:00',NULL),(11,1,99,10,'2023-05-04 08:30:00',NULL),(12,98,99,10,'2023-05-04 08:30:00',NULL),(13,2,7,10,'2023-05-04 08:30:00',NULL);
/*!40000 ALTER TABLE `user_room` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Dumping routines for database 'imbiz'
--
/*!50003 DROP PROCEDURE IF EXISTS `clean` */;
DELIMITER ;;
CREATE DEFINER=`root`@`localhost` PROCEDURE `clean`()
BEGIN
  DELETE FROM user WHERE id = 0; INSERT INTO `user` VALUES (1);
END ;;
DELIMITER ;

--
-- Current Database: `videobiz`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `videobiz` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci */ /*!80016 DEFAULT ENCRYPTION='N' */;

USE `videobiz`;

--
-- Table structure for table `follow`
--

DROP TABLE IF EXISTS `follow`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `follow` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `master` bigint DEFAULT NULL,
  `fans` bigint DEFAULT NULL,
  `create_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `follow`
--

LOCK TABLES `follow` WRITE;
/*!40000 ALTER TABLE `follow` DISABLE KEYS */;
INSERT INTO `follow` VALUES (1,1,2,'2023-06-01 00:00:00'),(2,1,3,'2023-06-02 00:00:00'),(3,2,1,'2023-05-04 08:30:00'),(4,1,1,'2023-05-04 08:30:00'),(5,1,99,'2023-05-04 08:30:00'),(6,1,2,'2023-05-04 08:30:00');
/*!40000 ALTER TABLE `follow` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `live_room`
--

DROP TABLE IF EXISTS `live_room`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `live_room` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `user_id` bigint DEFAULT NULL,
  `room_id` varchar(191) DEFAULT NULL,
  `cover` varchar(191) DEFAULT NULL,
  `state` tinyint,
  `title` varchar(191) DEFAULT NULL,
  `created_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  `updated_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `live_room`
--

LOCK TABLES `live_room` WRITE;
/*!40000 ALTER TABLE `live_room` DISABLE KEYS */;
INSERT INTO `live_room` VALUES (1,1,'movie','',1,'现场','2023-05-04 08:30:00','2023-05-04 08:30:00');
/*!40000 ALTER TABLE `live_room` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `video_collect`
--

DROP TABLE IF EXISTS `video_collect`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `video_collect` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `user_id` bigint DEFAULT NULL,
  `video_id` bigint DEFAULT NULL,
  `create_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `video_collect`
--

LOCK TABLES `video_collect` WRITE;
/*!40000 ALTER TABLE `video_collect` DISABLE KEYS */;
INSERT INTO `video_collect` VALUES (1,2,3,'2023-05-04 08:30:00'),(2,2,99,'2023-05-04 08:30:00');
/*!40000 ALTER TABLE `video_collect` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `video_support`
--

DROP TABLE IF EXISTS `video_support`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `video_support` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `user_id` bigint DEFAULT NULL,
  `video_id` bigint DEFAULT NULL,
  `video_master_id` bigint DEFAULT NULL,
  `create_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `video_support`
--

LOCK TABLES `video_support` WRITE;
/*!40000 ALTER TABLE `video_support` DISABLE KEYS */;
INSERT INTO `video_support` VALUES (1,2,1,NULL,'2023-05-04 08:30:00'),(2,3,1,NULL,'2023-05-04 08:30:00'),(3,2,3,0,'2023-05-04 08:30:00'),(4,2,3,0,'2023-05-04 08:30:00'),(5,99,3,0,'2023-05-04 08:30:00'),(6,2,99,0,'2023-05-04 08:30:00'),(7,2,7,0,'2023-05-04 08:30:00');
/*!40000 ALTER TABLE `video_support` ENABLE KEYS */;
UNLOCK TABLES;

--
-- Table structure for table `videos`
--

DROP TABLE IF EXISTS `videos`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `videos` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `user_id` bigint DEFAULT NULL,
  `title` varchar(191) DEFAULT NULL,
  `cover` varchar(191) DEFAULT NULL,
  `uri` varchar(191) DEFAULT NULL,
  `width` smallint unsigned,
  `height` smallint unsigned,
  `bit_rate` int unsigned,
  `duration` int,
  `size` bigint DEFAULT NULL,
  `support_num` bigint DEFAULT NULL,
  `collect_num` bigint DEFAULT NULL,
  `share_num` bigint DEFAULT NULL,
  `created_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  `updated_time` datetime(3) DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=100 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
/*!40101 SET character_set_client = @saved_cs_client */;

--
-- Dumping data for table `videos`
--

LOCK TABLES `videos` WRITE;
/*!40000 ALTER TABLE `videos` DISABLE KEYS */;
INSERT INTO `videos` VALUES (1,1,'第一个视频 #旅行 #Beijing','2023/98a33734f5974bc89c11772bf25186c384e3a4ba/cover.jpg','2023/98a33734f5974bc89c11772bf25186c384e3a4ba/index.m3u8',640,360,900,4,450,99,99,5,'2023-07-01 10:00:00.000','2023-07-01 10:00:00.000'),(2,1,'no files','2023/d24a053aa36f3437260ca36afc1434cd5cd26c10/cover.jpg','2023/d24a053aa36f3437260ca36afc1434cd5cd26c10/index.m3u8',640,360,900,4,450,99,99,0,'2023-07-01 10:00:00.000','2023-07-01 10:00:00.000'),(3,3,'it\'s \"fun\"\nsecond line','2023/f014cf725bc160853d9860a24f40b138eac3dbe2/cover.jpg','2023/f014cf725bc160853d9860a24f40b138eac3dbe2/index.m3u8',0,0,900,4,450,99,99,0,'2023-07-01 10:00:00.000','2023-07-01 10:00:00.000'),(5,2,'the same file again','2023/98a33734f5974bc89c11772bf25186c384e3a4ba/cover.jpg','2023/98a33734f5974bc89c11772bf25186c384e3a4ba/index.m3u8',640,360,900,4,450,99,99,0,'2023-07-01 10:00:00.000','2023-07-01 10:00:00.000'),(6,2,'evil','x/cover.jpg','2023/../../etc/passwd',640,360,900,4,450,99,99,0,'2023-07-01 10:00:00.000','2023-07-01 10:00:00.000'),(7,99,'nobody\'s','2023/3c363836cf4e16666669a25da280a1865c2d2874/cover.jpg','2023/3c363836cf4e16666669a25da280a1865c2d2874/index.m3u8',640,360,900,4,450,99,99,0,'2023-07-01 10:00:00.000','2023-07-01 10:00:00.000');
/*!40000 ALTER TABLE `videos` ENABLE KEYS */;
UNLOCK TABLES;

/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

-- Dump completed on 2023-08-01 12:00:00
